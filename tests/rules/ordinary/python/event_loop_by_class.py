# modes: standard
import asyncio
class Server:
    def __init__(self):
        self.handled = []
    async def handle(self, request):
        await asyncio.sleep(0)
        self.handled.append(request.upper())
async def main():
    server = Server()
    async with asyncio.timeout(1) if hasattr(asyncio, "timeout") else asyncio.Lock():
        for request in ("get", "put"):
            await server.handle(request)
    return server.handled
print(asyncio.run(main()))
