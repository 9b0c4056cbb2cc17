"""Phrases by which customers say that something is urgent, or that it is not."""

import re

_NO_HURRY = re.compile(
    r"\b(?:no (?:hurry|rush|stress|pressure)|not (?:at all )?(?:really )?urgent|isn't (?:really )?"
    r"urgent|not in a (?:hurry|rush)|no need to (?:hurry|rush)|don't rush|nothing (?:urgent|"
    r"pressing)|low priority|take your time|take the time|(?:this|it) can wait|can wait|whenever "
    r"(?:you|it|there|someone)|just (?:curious|wondering|asking)|(?:only|merely|simply|mostly|"
    r"purely) (?:curious|wondering|asking|out of (?:curiosity|interest))|out of (?:pure )?"
    r"curiosity|mere curiosity|at your leisure|when(?:ever)? you (?:have|find|"
    r"get) (?:time|a minute|a moment)|eilt nicht|keine eile|pas urgent|pas press|sin prisa|"
    r"no corre prisa|senza fretta|nessuna fretta|geen haast|not important|not pressing|"
    r"for my information|toying with|any time is fine|it's fine if it takes|at some point|"
    r"some ?day|one of these days|spare (?:moment|minute|time)|in your own time|sooner or later|"
    r"no deadline|not (?:needed|necessary) (?:soon|yet)|idle question|"
    r"easily live with|there is time)\b"
)
_HURRY = re.compile(
    r"\b(?:urgent(?:ly)?|asap|as soon as (?:humanly )?possible|immediately|right away|right now|"
    r"at once|emergency|hurry|can't wait|(?:by|before|until|till|for|for) (?:to(?:day|morrow|"
    r"night)|(?:the )?end of (?:today|the day)|noon)|within the hour|(?:deadline|flight|exam|"
    r"interview|guests?|visitors|tenants|parents|installer|electrician|auditors)\b.{0,40}\b"
    r"(?:today|tomorrow|tonight)|(?:today|tomorrow|tonight) (?:at the latest|is too late|is the "
    r"last|is my last)|(?:leave|fly|move out|moving|travel|arrive|come|comes|moves? in|wedding|"
    r"birthday|party|opening)\b.{0,25}\b(?:tomorrow|tonight|today)|(?:answer|reply|call|help|"
    r"solved?|settled|sorted|done|fixed|refund|happen|stop|cancel|redirect)\b.{0,25}\b(?:today|"
    r"tomorrow|tonight)|last chance|dringend|sofort|bis (?:heute|morgen)|noch heute|au plus vite|"
    r"d'urgence|urgente?|cuanto antes|subito|dringend|vandaag nog|spoed)\b"
)
_NEGATED = re.compile(
    r"\b(?:not|isn't|nothing|no|don't|need to|never|no need to|in no|in a) (?:\w+ ){0,2}"
    r"(?:urgent(?:ly)?|hurry|rush|pressing)\b"
)


def says_no_hurry(text: str) -> bool:
    """Whether a text in lower case says that there is no hurry, or is only curious."""
    return bool(_NO_HURRY.search(text))


def says_hurry(text: str) -> bool:
    """Whether a text in lower case calls itself urgent or sets a deadline of today or tomorrow."""
    return bool(_HURRY.search(_NEGATED.sub(" ", text)))
