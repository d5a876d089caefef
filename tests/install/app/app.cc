// An outside project that uses the installed client.
#include <iostream>

#include "omserve/client.h"

int main(int argc, char** argv) {
  const auto client = omserve::Client::Connect(argc > 1 ? argv[1] : "127.0.0.1:1");
  std::cout << client.status() << "\n";
  return client.ok() ? 0 : 1;
}
