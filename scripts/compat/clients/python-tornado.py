# tornado.
import asyncio, sys
from tornado.websocket import websocket_connect


async def main():
    socket = await websocket_connect(sys.argv[1])
    print("open", flush=True)
    while (message := await socket.read_message()) is not None:
        print("message", message, flush=True)
    print("closed", socket.close_code, flush=True)


asyncio.run(main())
