-- lua-http.
local websocket = require "http.websocket"
io.stdout:setvbuf "line"
local socket = websocket.new_from_uri(arg[1])
assert(socket:connect())
print "open"
while true do
  local data, problem, code = socket:receive()
  if not data then
    print("closed " .. tostring(socket.got_close_code or code or problem))
    break
  end
  print("message " .. data)
end
os.exit(0)
