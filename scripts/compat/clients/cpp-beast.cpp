// Boost.Beast. Built with: c++ -std=c++17 cpp-beast.cpp
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/beast/websocket.hpp>
#include <iostream>
#include <regex>

namespace beast = boost::beast;

int main(int, char **argv) {
  std::cmatch part;
  if (!std::regex_match(argv[1], part, std::regex("ws://([^:]+):([0-9]+)(/.*)"))) return 1;
  boost::asio::io_context context;
  beast::websocket::stream<beast::tcp_stream> socket(context);
  beast::get_lowest_layer(socket).connect(boost::asio::ip::tcp::resolver(context).resolve(part[1].str(), part[2].str()));
  socket.handshake(part[1].str() + ":" + part[2].str(), part[3].str());
  std::cout << "open" << std::endl;
  for (;;) {
    beast::flat_buffer buffer;
    beast::error_code error;
    socket.read(buffer, error);
    if (error) {
      std::cout << "closed " << (error == beast::websocket::error::closed ? socket.reason().code : 1006) << std::endl;
      return 0;
    }
    std::cout << "message " << beast::buffers_to_string(buffer.data()) << std::endl;
  }
}
