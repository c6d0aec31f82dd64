#include "doctor/library_probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/parse.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "doctor/gather.h"

namespace longhaul::doctor {
namespace {

constexpr const char* kNetSymbols[] = {
    "ncclNetPlugin_v8",     "ncclNetPlugin_v9",      "ncclNetPlugin_v10",
    "ncclNetPlugin_v11",    "ncclNetPlugin_v12",     "ncclCollNetPlugin_v8",
    "ncclCollNetPlugin_v9", "ncclCollNetPlugin_v10", "ncclCollNetPlugin_v11",
    "ncclCollNetPlugin_v12"};

void Say(int out, const std::string& line) {
  const std::string text = line + "\n";
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(out, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    done += static_cast<size_t>(wrote);
  }
}

// In the child: one line per fact, "key value".
[[noreturn]] void Load(int out, const char* asked,
                       std::span<const char* const> symbols) {
  // What a library prints while it starts is no part of a report.
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) {
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
  }
  void* library = ::dlopen(asked, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    Say(out, std::string("error ") + ::dlerror());
    ::_exit(0);
  }
  const link_map* map = nullptr;
  if (::dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) {
    Say(out, std::string("path ") + map->l_name);
  }
  for (const char* symbol : symbols) {
    if (::dlsym(library, symbol) != nullptr) {
      Say(out, std::string("symbol ") + symbol);
    }
  }
  Say(out, "loads");
  if (void* address = ::dlsym(library, "ncclGetVersion")) {
    int (*get_version)(int*) = nullptr;
    std::memcpy(&get_version, &address, sizeof get_version);
    int version = 0;
    if (get_version(&version) == 0) {
      Say(out, "version " + std::to_string(version));
    }
  }
  ::_exit(0);  // no destructors of a library that nobody used
}

std::string ReadAll(int fd) {
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t got = ::read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(block, static_cast<size_t>(got));
  }
}

int WaitFor(pid_t child) {
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  return state;
}

void Take(std::string_view line, LibraryFact* fact) {
  const size_t blank = line.find(' ');
  const std::string_view key = line.substr(0, blank);
  const std::string_view value =
      blank == line.npos ? std::string_view() : line.substr(blank + 1);
  if (key == "loads") fact->loads = true;
  if (key == "path") fact->path = value;
  if (key == "error") fact->error = value;
  if (key == "symbol") fact->symbols.emplace_back(value);
  if (key == "version") {
    fact->version = static_cast<int>(ParseInteger(value).value_or(0));
  }
}

std::string EndOf(int state) {
  if (!WIFSIGNALED(state)) return "it ends the process that loads it";
  if (WTERMSIG(state) == SIGALRM) return "it takes too long to load";
  return Text("it ends the process that loads it: %s",
              strsignal(WTERMSIG(state)));
}

// NCCL's rules: a path or file name as it is, else a short name.
std::string FileOf(const std::string& plugin) {
  const bool is_file =
      plugin.find('/') != plugin.npos ||
      (plugin.starts_with("lib") && plugin.find(".so") != plugin.npos);
  return is_file ? plugin : "libnccl-net-" + plugin + ".so";
}

std::string OurPlugin(const HostFacts& facts) {
  const auto set = facts.environment.find("NCCL_NET_PLUGIN");
  if (set != facts.environment.end()) {
    for (const std::string_view name : Split(set->second, ',')) {
      if (name.find("longhaul") != name.npos) {
        return FileOf(std::string(name));
      }
    }
  }
  return "libnccl-net-longhaul.so";
}

}  // namespace

LibraryFact ProbeLibrary(const std::string& asked,
                         std::span<const char* const> symbols,
                         std::chrono::seconds patience) {
  LibraryFact fact{.asked = asked};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    fact.error = Text("%s: %s", asked.c_str(), std::strerror(errno));
    return fact;
  }
  UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    // Unlike handlers, an alarm without one ends the child whatever the library
    // does.
    (void)std::signal(SIGALRM, SIG_DFL);
    ::alarm(static_cast<unsigned>(patience.count()));
    Load(to.get(), asked.c_str(), symbols);
  }
  if (child < 0) {
    fact.error = Text("%s: %s", asked.c_str(), std::strerror(errno));
    return fact;
  }
  to.Reset();
  const std::string said = ReadAll(from.get());
  const int state = WaitFor(child);
  for (const std::string_view line : Split(said, '\n')) Take(line, &fact);
  if (!fact.loads && fact.error.empty()) {
    fact.error = asked + ": " + EndOf(state);
  }
  return fact;
}

void FindLibraries(HostFacts* facts) {
  facts->nccl = ProbeLibrary("libnccl.so.2", {});
  facts->plugin = ProbeLibrary(OurPlugin(*facts), kNetSymbols);
  const auto site = facts->environment.find("LONGHAUL_SITE_PLUGIN");
  if (site != facts->environment.end()) {
    facts->site_plugin = ProbeLibrary(site->second, kNetSymbols);
  }
}

}  // namespace longhaul::doctor
