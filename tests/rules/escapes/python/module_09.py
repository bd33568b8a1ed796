# caught: static
import asyncio
reached = asyncio.sys
