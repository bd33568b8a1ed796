# caught: static
import asyncio
loop = asyncio.new_event_loop()
reached = loop.subprocess_exec
loop.close()
