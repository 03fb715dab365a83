"""How many steps a pattern takes on a text: a matcher that backtracks as `re` does, and counts.

It walks the tree that Python's own parser makes of a pattern. It knows the parts that the patterns of
`redaction` have, and says of any other that it does not.
"""

import re
import sys
import unicodedata
from re import _constants as code
from re import _parser as parser


class Counting:
    """One pattern's matcher.

    Attributes:
        steps: Nodes tried since it was made.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.steps = 0
        self._tree = list(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE | 0))
        self._ascii = bool(pattern.flags & re.ASCII)
        self._case = bool(pattern.flags & re.IGNORECASE)

    def match(self, text: str, start: int) -> int | None:
        """Where a match that begins at `start` ends, as `Pattern.match` has it; None without one."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(20_000)
        try:
            found = next(self._match(self._tree, 0, text, start, {}, self._case), None)
        finally:
            sys.setrecursionlimit(before)
        return None if found is None else found[0]

    def _match(self, nodes, number, text, at, groups, case):
        """Yields (end, groups) of each way to match the nodes from `number` on."""
        if number == len(nodes):
            yield at, groups
            return
        for end, captured in self._one(nodes[number], text, at, groups, case):
            yield from self._match(nodes, number + 1, text, end, captured, case)

    def _one(self, node, text, at, groups, case):
        self.steps += 1
        op, value = node
        if op in (code.LITERAL, code.NOT_LITERAL, code.IN, code.ANY):
            if at < len(text) and self._is(node, text[at], case):
                yield at + 1, groups
        elif op in (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT):
            yield from self._repeat(op, value, text, at, groups, case)
        elif op is code.SUBPATTERN:
            name, added, removed, inner = value
            inside = (case or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
            for end, captured in self._match(list(inner), 0, text, at, groups, inside):
                yield end, captured if name is None else captured | {name: text[at:end]}
        elif op is code.BRANCH:
            for branch in value[1]:
                yield from self._match(list(branch), 0, text, at, groups, case)
        elif op in (code.ASSERT, code.ASSERT_NOT):
            held = self._look(value, text, at, groups, case)
            if held == (op is code.ASSERT):
                yield at, groups
        elif op is code.GROUPREF:
            if text.startswith(groups.get(value, "\0none"), at):
                yield at + len(groups[value]), groups
        elif op is code.AT:
            if self._stands(value, text, at):
                yield at, groups
        else:
            raise NotImplementedError(op)

    def _look(self, value, text, at, groups, case):
        direction, inner = value
        start = at if direction > 0 else at - inner.getwidth()[0]
        if start < 0:
            return False
        ends = self._match(list(inner), 0, text, start, groups, case)
        return any(direction > 0 or end == at for end, _ in ends)

    def _repeat(self, op, value, text, at, groups, case):
        least, most, inner = value
        body = list(inner)
        if len(body) == 1 and body[0][0] in (code.LITERAL, code.NOT_LITERAL, code.IN, code.ANY):
            end = at
            while end < len(text) and end - at < most and self._is(body[0], text[end], case):
                end += 1
                self.steps += 1
            ends = range(end, at + least - 1, -1)
            if op is code.MIN_REPEAT:
                ends = reversed(ends)
            elif op is code.POSSESSIVE_REPEAT:
                ends = ends[:1]
            for each in ends:
                self.steps += 1
                yield each, groups
            return
        ways = self._times(op, body, least, most, text, at, groups, case)
        if op is code.POSSESSIVE_REPEAT:
            ways = list(ways)[:1]
        yield from ways

    def _times(self, op, body, least, most, text, at, groups, case):
        self.steps += 1
        if least <= 0 and op is code.MIN_REPEAT:
            yield at, groups
        if most > 0:
            for end, captured in self._match(body, 0, text, at, groups, case):
                if end > at:
                    yield from self._times(op, body, least - 1, most - 1, text, end, captured, case)
        if least <= 0 and op is not code.MIN_REPEAT:
            yield at, groups

    def _stands(self, where, text, at):
        if where in (code.AT_BOUNDARY, code.AT_NON_BOUNDARY):
            before = at > 0 and self._category("w", text[at - 1])
            after = at < len(text) and self._category("w", text[at])
            return (before != after) == (where is code.AT_BOUNDARY)
        return at == (len(text) if where in (code.AT_END, code.AT_END_STRING) else 0)

    def _is(self, node, character, case):
        op, value = node
        forms = {character, character.lower(), character.upper()} if case else {character}
        if op is code.ANY:
            return character != "\n"
        if op is code.LITERAL:
            return chr(value) in forms
        if op is code.NOT_LITERAL:
            return chr(value) not in forms
        members = [m for m in value if m[0] is not code.NEGATE]
        found = any(self._member(member, form) for member in members for form in forms)
        return found != (len(members) < len(value))

    def _member(self, member, character):
        op, value = member
        if op is code.LITERAL:
            return chr(value) == character
        if op is code.RANGE:
            return value[0] <= ord(character) <= value[1]
        name = str(value).rpartition("_")[2].lower()
        found = self._category({"digit": "d", "space": "s", "word": "w"}[name], character)
        return found != ("_NOT_" in str(value))

    def _category(self, kind, character):
        if self._ascii and not character.isascii():
            return False
        if kind == "d":
            return unicodedata.category(character) == "Nd"
        return character.isspace() if kind == "s" else character.isalnum() or character == "_"
