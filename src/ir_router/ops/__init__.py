"""Operations as tasks: verify, replay, resync."""
