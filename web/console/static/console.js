// What a live page says of its connection; and what a reader has opened stays open.
const said = document.getElementById("live-state");

function say(sentence, cutOff) {
  document.body.classList.toggle("cut-off", cutOff);
  if (said.textContent !== sentence) said.textContent = sentence;
}

document.addEventListener("htmx:sseOpen", () => say("Live: it changes by itself.", false));
document.addEventListener("htmx:sseError", () =>
  say("The service does not answer, or the session has ended: this is how it was. Trying again.", true));

Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !((name === "open" && node.tagName === "DETAILS") || name === "checked");
