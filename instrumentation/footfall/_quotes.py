"""Values as tools leave them in the environment: some with the quotes that stood around them in a file."""


def bare(text: str) -> str:
    """Without blanks and one pair of quotes around it."""
    text = text.strip()
    quoted = text[:1] in ("'", '"') and text.find(text[0], 1) == len(text) - 1
    return text[1:-1].strip() if quoted else text
