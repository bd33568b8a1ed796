"""Shows what code writes as it writes it, and ends it at the first line that says enough."""

from contextlib import closing

from belljar import Output, Sandbox

CODE = "import time\nfor i in range(1000):\n    print('line', i, flush=True)\n    time.sleep(0.1)"

with closing(Sandbox("python").stream(CODE)) as events:
    for event in events:
        if isinstance(event, Output):
            print(event.text, end="", flush=True)
            if "3" in event.text:
                break
