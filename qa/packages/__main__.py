"""``./run qa packages`` writes ``doc/design/packages.rst`` again."""

from qa.packages.page import PAGE, render

if __name__ == "__main__":
    PAGE.write_text(render())
