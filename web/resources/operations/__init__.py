"""Operations over HTTP: how they start, how they are told of, and the output of their steps."""
