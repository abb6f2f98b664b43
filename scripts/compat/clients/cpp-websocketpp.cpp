// WebSocket++. Built with: c++ cpp-websocketpp.cpp
#include <iostream>
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_no_tls_client.hpp>

using Client = websocketpp::client<websocketpp::config::asio_client>;

int main(int, char **argv) {
  Client client;
  client.clear_access_channels(websocketpp::log::alevel::all);
  client.init_asio();
  client.set_open_handler([](websocketpp::connection_hdl) { std::cout << "open" << std::endl; });
  client.set_message_handler([](websocketpp::connection_hdl, Client::message_ptr message) {
    std::cout << "message " << message->get_payload() << std::endl;
  });
  client.set_close_handler([&](websocketpp::connection_hdl handle) {
    std::cout << "closed " << client.get_con_from_hdl(handle)->get_remote_close_code() << std::endl;
  });
  client.set_fail_handler([](websocketpp::connection_hdl) { exit(1); });
  websocketpp::lib::error_code error;
  client.connect(client.get_connection(argv[1], error));
  client.run();
}
