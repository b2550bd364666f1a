"""The blocks of the comparison page, each answering one question."""
