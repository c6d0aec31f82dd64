#include "lab/emulator/control.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <exception>
#include <stdexcept>

#include "lab/emulator/json.h"

namespace longhaul::lab {
namespace {

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::invalid_argument("socket path too long: " + path);
  }
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::vector<std::string> SplitWords(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n";
  std::vector<std::string> words;
  size_t from = text.find_first_not_of(kSpace);
  while (from != std::string_view::npos) {
    const size_t to = std::min(text.find_first_of(kSpace, from), text.size());
    words.emplace_back(text.substr(from, to - from));
    from = text.find_first_not_of(kSpace, to);
  }
  return words;
}

}  // namespace

ControlServer::ControlServer(std::string path)
    : path_(std::move(path)),
      listener_(
          ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const sockaddr_un address = Address(path_);
  ::unlink(path_.c_str());
  if (::bind(fd(), Generic(address), sizeof address) < 0 ||
      ::listen(fd(), 8) < 0) {
    ThrowErrno(path_);
  }
}

ControlServer::~ControlServer() { ::unlink(path_.c_str()); }

File ControlServer::Accept() const {
  return File(::accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

bool ControlServer::Converse(int caller, const Handler& handler) {
  std::array<char, 4096> text;
  const ssize_t n = ::read(caller, text.data(), text.size());
  if (n <= 0) return false;
  std::string answer;
  try {
    const std::vector<std::string> words =
        SplitWords({text.data(), static_cast<size_t>(n)});
    answer = handler(words);
  } catch (const std::exception& error) {
    JsonObject fault;
    fault.Add("error", std::string_view(error.what()));
    answer = std::move(fault).Text();
  }
  return ::send(caller, answer.data(), answer.size(), MSG_NOSIGNAL) >= 0;
}

std::string CallControl(const std::string& path,
                        std::span<const std::string> words) {
  const File caller(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  if (::connect(caller.fd(), Generic(address), sizeof address) < 0) {
    ThrowErrno(path);
  }
  std::string message;
  for (const std::string& word : words) message += word + ' ';
  if (::send(caller.fd(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
    ThrowErrno("send");
  }
  std::string answer(16384, '\0');
  const ssize_t n = ::recv(caller.fd(), answer.data(), answer.size(), 0);
  if (n < 0) ThrowErrno("receive");
  answer.resize(static_cast<size_t>(n));
  return answer;
}

}  // namespace longhaul::lab
