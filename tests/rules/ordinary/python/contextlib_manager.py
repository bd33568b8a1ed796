# modes: standard
from contextlib import contextmanager, suppress, redirect_stdout, ExitStack, closing, nullcontext
import io
@contextmanager
def tag(name):
    print(f"<{name}>")
    try:
        yield name
    finally:
        print(f"</{name}>")
with tag("b") as name, suppress(KeyError):
    print(name)
    {}["missing"]
buffer = io.StringIO()
with redirect_stdout(buffer) if False else nullcontext():
    print("plain")
with ExitStack() as stack:
    for name in "xy":
        stack.enter_context(tag(name))
