"""Models that write their reasoning into the text, between tags at its beginning."""


class ThinkingTag:
    """Parts a text into reasoning and answer as it comes; `name` is the tag's, without brackets."""

    def __init__(self, name: str) -> None:
        self._begin, self._end = f"<{name}>", f"</{name}>"
        self._held = ""
        self._inside = self._passed = self._trimming = False

    def whole(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer of a whole text."""
        pieces = (self.feed(text), self.end())
        return "".join(thought for thought, _ in pieces), "".join(said for _, said in pieces)

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer that are certain with this piece."""
        if self._passed:
            return "", self._trimmed(text)
        self._held += text
        if not self._inside:
            begun = self._held.lstrip()
            if self._begin.startswith(begun):
                return "", ""  # It may still become the tag.
            if not begun.startswith(self._begin):
                return self.end()
            self._inside, self._held = True, begun[len(self._begin) :]
        thought, ended, said = self._held.partition(self._end)
        if ended:
            self._held, self._passed, self._trimming = "", True, True
            return thought, self._trimmed(said)
        # What could be the beginning of the end tag waits.
        kept = next((n for n in range(len(self._end) - 1, 0, -1) if thought.endswith(self._end[:n])), 0)
        self._held = thought[len(thought) - kept :]
        return thought[: len(thought) - kept], ""

    def end(self) -> tuple[str, str]:
        """What is left when no more comes: reasoning that was never ended, or text that was no tag."""
        held, self._held = self._held, ""
        self._passed = True
        return (held, "") if self._inside else ("", held)

    def _trimmed(self, text: str) -> str:
        """Without the blank lines between the end tag and the answer."""
        if self._trimming:
            text = text.lstrip()
            self._trimming = not text
        return text
