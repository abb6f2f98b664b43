package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// client is a library, and how to run the program that uses it.
type client struct {
	name string
	argv []string // the address comes behind
	dir  string
	env  []string
	show []string // a command that prints the version
}

// version is what show prints, on one line.
func (c client) version() string {
	out, err := exec.Command(c.show[0], c.show[1:]...).Output()
	if err != nil {
		return "?"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return version
}

// available are the clients whose programs are here. work holds node_modules and what was built.
func available(work string) (all []client) {
	here, err := filepath.Abs("scripts/compat/clients")
	if err != nil {
		return nil
	}
	source := func(name string) string { return filepath.Join(here, name) }
	modules := filepath.Join(work, "node_modules")
	node := func(name, module, file string) {
		if _, err := os.Stat(filepath.Join(modules, module)); err == nil {
			all = append(all, client{name: name, argv: []string{"node", source(file)}, env: []string{"NODE_PATH=" + modules},
				show: []string{"node", "-p", "require('" + filepath.Join(modules, module, "package.json") + "').version"}})
		}
	}
	debian := func(name, program, file, pkg string) {
		show := []string{"dpkg-query", "--show", "--showformat=${Version}", pkg}
		if exec.Command(show[0], show[1:]...).Run() == nil {
			all = append(all, client{name: name, argv: []string{program, source(file)}, show: show, env: []string{"QT_QPA_PLATFORM=offscreen", "LUA_PATH_5_3=/usr/share/lua/5.2/?.lua;;"}}) // Debian has basexx, which lua-http needs, for 5.2 only
		}
	}
	built := func(name, file, pkg string) {
		if path := filepath.Join(work, file); exec.Command("test", "-x", path).Run() == nil {
			all = append(all, client{name: name, argv: []string{path}, show: []string{"dpkg-query", "--show", "--showformat=${Version}", pkg}})
		}
	}
	node("Node: ws", "ws", "node-ws.cjs")
	node("Node: websocket", "websocket", "node-websocket.cjs")
	node("Node: faye-websocket", "faye-websocket", "node-faye.cjs")
	node("Node: undici", "undici", "node-undici.cjs")
	for name, argv := range map[string][]string{"bun": {"bun"}, "deno": {"deno", "run", "--allow-net"}} {
		if path := filepath.Join(modules, ".bin", argv[0]); exec.Command("test", "-x", path).Run() == nil {
			all = append(all, client{name: name, argv: append(append([]string{path}, argv[1:]...), source("web.cjs")), show: []string{path, "--version"}})
		}
	}
	debian("Python: websocket-client", "/usr/bin/python3", "python-websocket.py", "python3-websocket")
	debian("Python: websockets", "/usr/bin/python3", "python-websockets.py", "python3-websockets")
	debian("Python: aiohttp", "/usr/bin/python3", "python-aiohttp.py", "python3-aiohttp")
	debian("Python: tornado", "/usr/bin/python3", "python-tornado.py", "python3-tornado")
	debian("Python: autobahn", "/usr/bin/python3", "python-autobahn.py", "python3-autobahn")
	debian("Qt 5: QtWebSockets", "/usr/bin/python3", "python-qt.py", "python3-pyqt5.qtwebsockets")
	debian("GNOME: libsoup 3", "/usr/bin/python3", "python-soup.py", "gir1.2-soup-3.0")
	debian("Perl: Mojolicious", "/usr/bin/perl", "perl-mojo.pl", "libmojolicious-perl")
	debian("Perl: AnyEvent::WebSocket::Client", "/usr/bin/perl", "perl-anyevent.pl", "libanyevent-websocket-client-perl")
	debian("Ruby: faye-websocket", "ruby", "ruby-faye.rb", "ruby-faye-websocket")
	debian("Lua: lua-http", "lua5.3", "lua-http.lua", "lua-http")
	if _, err := exec.LookPath("java"); err == nil {
		all = append(all, client{name: "Java: HttpClient", argv: []string{"java", source("Java.java")}, show: []string{"java", "--version"}})
	}
	built("C: libwebsockets", "c-libwebsockets", "libwebsockets-dev")
	built("C++: Boost.Beast", "cpp-beast", "libboost-dev")
	built("C++: WebSocket++", "cpp-websocketpp", "libwebsocketpp-dev")
	if goClient := filepath.Join(work, "goclient"); exec.Command("test", "-x", goClient).Run() == nil {
		for _, module := range []string{"github.com/gorilla/websocket", "github.com/coder/websocket", "github.com/gobwas/ws", "github.com/lxzan/gws", "golang.org/x/net"} {
			all = append(all, client{name: "Go: " + module, argv: []string{goClient, module}, show: []string{goClient, "version", module}})
		}
	}
	return all
}
