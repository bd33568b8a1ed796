# caught: static
reached = __builtins__["eval"] if isinstance(__builtins__, dict) else __builtins__.eval
