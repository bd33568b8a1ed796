# modes: standard
import contextvars
current = contextvars.ContextVar("current", default="none")
token = current.set("one")
print(current.get())
current.reset(token)
print(current.get())
