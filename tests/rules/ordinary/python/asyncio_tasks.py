# modes: standard
import asyncio
async def main():
    lock, seen = asyncio.Lock(), []
    async def worker(n):
        async with lock:
            seen.append(n)
    tasks = [asyncio.create_task(worker(n)) for n in range(3)]
    await asyncio.wait(tasks)
    late = asyncio.create_task(asyncio.sleep(9))
    late.cancel()
    try:
        await late
    except asyncio.CancelledError:
        seen.append("cancelled")
    print(seen)
asyncio.run(main())
