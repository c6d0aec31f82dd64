// Two connected TCP sockets over loopback, non-blocking.
//
// Any thread.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/unique_fd.h"

namespace longhaul {

struct SocketPair {
  UniqueFd first;
  UniqueFd second;
};

inline SocketPair ConnectOverLoopback() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener.get(), raw, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), raw, &size), 0);
  SocketPair pair;
  pair.first.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(pair.first.get(), raw, size), 0);
  pair.second.Reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  for (const UniqueFd* fd : {&pair.first, &pair.second}) {
    const int flags = ::fcntl(fd->get(), F_GETFL);
    EXPECT_EQ(::fcntl(fd->get(), F_SETFL, flags | O_NONBLOCK), 0);
  }
  return pair;
}

}  // namespace longhaul
