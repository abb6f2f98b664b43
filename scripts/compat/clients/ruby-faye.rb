# faye-websocket on EventMachine.
require "faye/websocket"
require "eventmachine"

$stdout.sync = true
EM.run do
  socket = Faye::WebSocket::Client.new(ARGV[0])
  socket.on(:open) { puts "open" }
  socket.on(:message) { |event| puts "message #{event.data}" }
  socket.on(:close) { |event| puts "closed #{event.code}"; EM.stop }
end
