import io

from hailo_whisper.models.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_for_each_quarter() -> None:
    log = io.StringIO()
    with progress("base", 4_000_000, log) as shown:
        for done in range(0, 4_400_001, 100_000):
            shown.reach(done)
    assert log.getvalue().splitlines() == [f"base: {step}% of 4.0 MB" for step in (25, 50, 75, 100)]


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end() -> None:
    terminal = Terminal()
    with progress("base", 1000, terminal) as shown:
        shown.reach(500)
        shown.reach(400)
        shown.reach(2000)
    drawn = terminal.getvalue()
    assert "base:" in drawn
    assert "\n" not in drawn
    assert drawn.endswith("\r")
