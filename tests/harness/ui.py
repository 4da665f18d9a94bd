"""Who looks on in a test."""

from containai.work.ui import Progress


class Silent:
    """A Ui that records what it is told, and agrees or does not."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.said: list[str] = []
        self.told: list[str] = []
        self.asked: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, title: str, number: int, count: int) -> Progress:
        self.said.append(f"[{number}/{count}] {title}")

        def progress(text: str, fraction: float | None) -> None:
            self.said.append(text)

        return progress

    def tell(self, text: str) -> None:
        self.told.append(text)

    def ask(self, question: str, *, beforehand: bool = True) -> bool:
        self.asked.append(question)
        return self.agrees
