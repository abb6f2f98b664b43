# autobahn on asyncio.
import asyncio, sys
from urllib.parse import urlsplit
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol


class Client(WebSocketClientProtocol):
    def onOpen(self):
        print("open", flush=True)

    def onMessage(self, payload, isBinary):
        print("message", payload.decode(), flush=True)

    def onClose(self, wasClean, code, reason):
        print("closed", code, "clean" if wasClean else "unclean", flush=True)
        loop.stop()


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
factory = WebSocketClientFactory(sys.argv[1], loop=loop)
factory.protocol = Client
address = urlsplit(sys.argv[1])
loop.run_until_complete(loop.create_connection(factory, address.hostname, address.port))
loop.run_forever()
