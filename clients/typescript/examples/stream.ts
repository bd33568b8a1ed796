/** Shows what code writes as it writes it, and ends it at the first line that says enough. */

import { Sandbox } from "belljar";

const code = "import time\nfor i in range(1000):\n    print('line', i, flush=True)\n    time.sleep(0.1)";

for await (const event of new Sandbox("python").stream(code)) {
  if (event.event === "stdout") process.stdout.write(event.data);
  if (event.event === "stdout" && event.text.includes("3")) break;
}
