"""Prompts: what people say that they look for, and what it is called afterwards."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tracker.errors import UserError

_ARTICLE = re.compile(r"(a|an|the)\s+(?=\S)", re.IGNORECASE)


def check_prompts(prompts: str | Sequence[str]) -> list[str]:
    """Return prompts without blanks around them, each once, in order.

    Raises:
        UserError: there are none, or one says nothing or is not a line of text.
    """
    given = [prompts] if isinstance(prompts, str) else list(prompts)
    if not given:
        raise UserError("there is no prompt; say what to find, such as 'a cat'")
    for prompt in given:
        if not isinstance(prompt, str) or not prompt.isprintable():
            raise UserError(f"the prompt {prompt!r} is not one line of text, such as 'a cat'")
        if not any(character.isalnum() for character in prompt):
            raise UserError(f"the prompt {prompt!r} says nothing; say what to find, as in 'a cat'")
    return list(dict.fromkeys(prompt.strip() for prompt in given))


def noun_of(prompt: str) -> str:
    """Return what objects of a prompt are called: the prompt without its article.

    >>> noun_of("a black cat")
    'black cat'
    """
    return _ARTICLE.sub("", prompt.strip(), count=1) if _ARTICLE.match(prompt.strip()) else prompt


def either(prompts: Sequence[str]) -> str:
    """Return prompts as they are listed in a sentence.

    >>> either(["a cat", "a dog"])
    "'a cat' or 'a dog'"
    """
    return " or ".join(map(repr, prompts))
