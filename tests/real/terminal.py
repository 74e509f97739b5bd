"""A terminal: runs a program in one, and plays a script of what is typed and what must appear.

Arguments: a JSON list of steps, and the program with its arguments. A step is {"type": TEXT} or {"see": TEXT}. The whole
output is printed at the end. Exit code: that of the program, or 99 if something did not appear within half a minute.
"""

import json
import os
import pty
import select
import sys
import time

steps, program = json.loads(sys.argv[1]), sys.argv[2:]
process, terminal = pty.fork()
if process == 0:
    os.execvp(program[0], program)

output, seen = b"", 0
deadline = time.monotonic() + 30


def read():
    global output
    if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        sys.stdout.write(output.decode(errors="replace"))
        sys.exit(99)
    try:
        data = os.read(terminal, 65536)
    except OSError:  # every process has closed the terminal
        data = b""
    output += data
    return data


for step in steps:
    if "type" in step:
        os.write(terminal, step["type"].encode())
        continue
    text = step["see"].encode()
    while (at := output.find(text, seen)) < 0:
        if not read():
            sys.stdout.write(output.decode(errors="replace"))
            sys.exit(99)
    seen = at + len(text)
while read():
    pass
status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
sys.stdout.write(output.decode(errors="replace"))
sys.exit(status if status >= 0 else 128 - status)
