"""Operations by `commctl`: begun, watched, steered."""
