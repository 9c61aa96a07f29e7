#compdef commctl

_commctl_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _COMMCTL_COMPLETE=complete_zsh commctl)
}

compdef _commctl_completion commctl
