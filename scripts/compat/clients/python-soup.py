# libsoup 3, GNOME's.
import sys
import gi

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup

loop = GLib.MainLoop()


def connected(session, result):
    global socket
    socket = session.websocket_connect_finish(result)
    socket.set_max_incoming_payload_size(1 << 20)
    print("open", flush=True)
    socket.connect("message", lambda _, kind, data: print("message", data.get_data().decode(), flush=True))
    socket.connect("closed", closed)


def closed(_):
    print("closed", socket.get_close_code(), flush=True)
    loop.quit()


Soup.Session().websocket_connect_async(Soup.Message.new("GET", sys.argv[1]), None, None, 0, None, connected)
loop.run()
