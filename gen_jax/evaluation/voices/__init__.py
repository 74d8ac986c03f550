"""How well a model gives an utterance the voice of another speaker, and whether it still says the same."""
