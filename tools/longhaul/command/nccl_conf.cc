#include "command/nccl_conf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/parse.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "command/version.h"

namespace longhaul::command {
namespace {

// NCCL copies a value into a buffer of 1024 bytes.
constexpr size_t kLongestValue = 1023;
constexpr mode_t kMode = 0644;

// Releases of NCCL differ in what they take for a comment, but none reads a
// setting from a line without '='.
std::string Comment(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return c == '=' || c == '\n' || c == '\r'; }, ' ');
  return text.empty() ? "#\n" : "# " + text + "\n";
}

// Holds back the signals that would end the program between two steps.
class Uninterrupted {
 public:
  Uninterrupted() {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      sigaddset(&held, signal);
    }
    (void)::sigprocmask(SIG_BLOCK, &held, &before_);
  }
  ~Uninterrupted() { (void)::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;

 private:
  sigset_t before_{};
};

Status Failed(const std::string& path) {
  return {StatusCode::kInvalidArgument,
          Text("%s: %s", path.c_str(), std::strerror(errno))};
}

Status Exists(const std::string& path) {
  return {StatusCode::kInvalidArgument, path + " exists; --force replaces it"};
}

bool WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return ::fsync(fd) == 0 || errno == EINVAL;  // EINVAL: nothing to flush there
}

// Gives the finished file its name, and takes away the one it was made under.
Status Publish(const std::string& made, const std::string& path, bool replace) {
  if (replace && ::rename(made.c_str(), path.c_str()) == 0) return {};
  Status status;
  if (replace) {
    status = Failed(path);
  } else if (::link(made.c_str(), path.c_str()) != 0) {
    status = errno == EEXIST ? Exists(path) : Failed(path);
  }
  ::unlink(made.c_str());
  return status;
}

}  // namespace

Result<std::string> NcclConf(const nccl::Advice& advice, const nccl::Job& job,
                             const std::string& topology) {
  if (topology.size() > kLongestValue ||
      topology.find_first_of("\n\r") != topology.npos) {
    return Status(StatusCode::kInvalidArgument,
                  "the topology file's path is too long for NCCL, or has a "
                  "line end in it: " +
                      topology);
  }
  std::string text =
      Comment(Text("NCCL over longhaul %s, written by: longhaul nccl-conf",
                   Version())) +
      Comment(
          "NCCL 2.23 and newer read this file where NCCL_CONF_FILE says; "
          "older: ~/.nccl.conf or /etc/nccl.conf.") +
      Comment(
          "The same values on every rank of the job. Variables that are "
          "set in the environment win.") +
      Comment("") + Comment("Line: " + advice.line.ToString()) +
      Comment(Text("Job: ranks per host %d; hosts per site %d or more",
                   job.ranks_per_host, job.hosts_per_site));
  for (const std::string& note : advice.notes) {
    text += Comment("Note: " + note);
  }
  for (const nccl::Setting& setting : advice.settings) {
    text += "\n" + Comment(setting.reason) + setting.name + "=" +
            setting.value + "\n";
  }
  text += "\n" + Comment("Sites, hosts and lines; every rank needs this file.");
  text += "LONGHAUL_TOPOLOGY=" + topology + "\n";
  return text;
}

Status WriteNewFile(const std::string& path, const std::string& text,
                    bool replace) {
  const Uninterrupted section;
  struct stat there {};
  if (!replace && ::lstat(path.c_str(), &there) == 0) {
    return Exists(path);
  }
  const std::string made = path + "." + std::to_string(::getpid()) + ".new";
  {
    const UniqueFd file(
        ::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
    if (!file.valid()) return Failed(path);
    if (!WriteAll(file.get(), text)) {
      Status status = Failed(path);
      ::unlink(made.c_str());
      return status;
    }
  }
  return Publish(made, path, replace);
}

}  // namespace longhaul::command
