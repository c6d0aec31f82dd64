// longhaul: what a user runs before and beside a job.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/parse.h"
#include "command/commands.h"
#include "command/version.h"

namespace longhaul::command {
namespace {

constexpr const char* kDescription =
    R"(longhaul makes collective communication work between sites that are far apart.
This command looks after the hosts and settings of such jobs. It changes nothing
but the file it is asked to write, and sends nothing.)";

constexpr const char* kEpilogue =
    R"(Exit code: 0 all is well; 1 something needs to be done; 2 wrong usage, or a file
that cannot be used.

Examples:
  longhaul doctor --wan-rate 10gbit --rtt 80ms
  longhaul nccl-conf --topology sites.toml --output nccl.conf
  longhaul COMMAND --help)";

constexpr const char* kNcclConfDescription =
    R"(Writes a configuration file for NCCL that fits the lines of a topology file: the
plugin, CollNet, and buffers, channels and chunks so large that the line between
two sites never waits for an answer from the other end. Each value has its reason
above it.

NCCL 2.23 and newer read the file that NCCL_CONF_FILE names; all read
~/.nccl.conf and /etc/nccl.conf. Every rank must have the same values, and
LONGHAUL_TOPOLOGY in it must lead to the topology file on every host. What is set
in the environment wins over the file.)";

constexpr const char* kNcclConfEpilogue =
    R"(How the values come about: the line that holds most (rate x round trip) is looked
for among all pairs of sites. Rates or delays that the file does not state are
assumed, 1 Gbit/s and 25 ms one way, and a comment says so.

Exit code: 0 written; 2 wrong usage, or a file that cannot be read or written.

Examples:
  longhaul nccl-conf --topology sites.toml
  longhaul nccl-conf --topology sites.toml --ranks-per-host 8 \
      --hosts-per-site 4 --output nccl.conf
  export NCCL_CONF_FILE=$PWD/nccl.conf)";

constexpr const char* kDoctorDescription =
    R"(Checks this host for jobs across sites, and says for each check what was found
and, where something should be different, what to change, why, and the commands
that do it. Nothing is changed and nothing is sent: sockets of its own are bound
and closed again, and libraries are loaded in processes of their own.

Run it as the job runs: the same user, container, limits and environment.

  ok       nothing to do
  advice   works, and would be better otherwise
  problem  does not work, or far below what the line could do

Buffers are judged against the line: --wan-rate and --rtt, else the heaviest line
of --topology, else of LONGHAUL_TOPOLOGY, else 1 Gbit/s and 50 ms.)";

constexpr const char* kDoctorEpilogue =
    R"(Exit code: 0 no problem, though there may be advice; 1 at least one problem;
2 wrong usage, or a file that cannot be used.

Examples:
  longhaul doctor --wan-rate 10gbit --rtt 80ms
  longhaul doctor --topology sites.toml --json | jq '.checks[] | .commands')";

constexpr const char* kInfoDescription =
    R"(Shows every option with the value that a job started here would use, and where
the value is from: the environment, another program's variable, or the default.)";

constexpr const char* kInfoEpilogue =
    R"(Exit code: 0; 1 if a variable cannot be read, which is named; 2 wrong usage.

Examples:
  longhaul info
  longhaul info --full | less)";

// Reads the flag's text by `read`; a refusal says what is accepted.
CLI::Option* Add(CLI::App* app, const std::string& flag, const char* value_name,
                 const char* help, const char* accepted,
                 std::function<bool(const std::string&)> read) {
  CLI::Option* option = app->add_option_function<std::string>(
      flag, [](const std::string&) {}, help);
  option->type_name(value_name);
  option->check([read = std::move(read), accepted](const std::string& text) {
    return read(text) ? std::string()
                      : "'" + text + "' is not accepted: give " + accepted;
  });
  return option;
}

bool ReadCount(const std::string& text, int most, int* out) {
  const std::optional<int64_t> count = ParseInteger(text);
  if (!count || *count < 1 || *count > most) return false;
  *out = static_cast<int>(*count);
  return true;
}

CLI::Option* AddFile(CLI::App* app, const char* flag, const char* help,
                     std::string* out) {
  return Add(app, flag, "FILE", help, "a file name",
             [out](const std::string& text) {
               *out = text;
               return !text.empty();
             });
}

void AddNcclConf(CLI::App* app, NcclConfRequest* request) {
  constexpr int kMost = 1 << 20;
  app->footer(kNcclConfEpilogue);
  AddFile(app, "--topology", "topology file, docs/topology.md",
          &request->topology)
      ->required();
  AddFile(app, "--output,-o", "file to write (stdout)", &request->output);
  app->add_flag("--force", request->force, "replace the file if it is there");
  Add(app, "--ranks-per-host", "N", "ranks, as a rule GPUs, of each host (8)",
      "a number from 1", [=](const std::string& text) {
        return ReadCount(text, kMost, &request->job.ranks_per_host);
      });
  Add(app, "--hosts-per-site", "N",
      "hosts of the smallest site, which share its line (1)", "a number from 1",
      [=](const std::string& text) {
        return ReadCount(text, kMost, &request->job.hosts_per_site);
      });
}

void AddDoctor(CLI::App* app, DoctorRequest* request) {
  app->footer(kDoctorEpilogue);
  CLI::Option* rate =
      Add(app, "--wan-rate", "RATE", "rate of the line between sites, 10gbit",
          "a rate such as 500mbit or 10gbit", [=](const std::string& text) {
            request->rate = ParseRate(text);
            return request->rate && *request->rate > 0;
          });
  CLI::Option* round_trip =
      Add(app, "--rtt", "TIME", "its round-trip time, 80ms",
          "a time such as 80ms", [=](const std::string& text) {
            request->round_trip = ParseTime(text);
            return request->round_trip && *request->round_trip > 0;
          });
  AddFile(app, "--topology", "take both from this topology file",
          &request->topology)
      ->excludes(rate)
      ->excludes(round_trip);
  app->add_flag("--json", request->json, "the findings as JSON");
}

// The exit code of a command line that is not to be run: --help, --version,
// wrong usage.
int Refuse(const CLI::App& app, const CLI::ParseError& error) {
  return app.exit(error) == 0 ? kExitOk : kExitUsage;
}

int Run(int argc, const char* const* argv) {
  NcclConfRequest nccl_conf;
  DoctorRequest doctor;
  InfoRequest info;
  CLI::App app(kDescription, "longhaul");
  app.footer(kEpilogue);
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("--version", std::string("longhaul ") + Version(),
                       "the version");
  app.get_formatter()->column_width(32);
  app.require_subcommand(0, 1);  // none is refused below, after unknown words
  const auto add = [&](const char* name, const char* description,
                       const char* line) {
    CLI::App* command = app.add_subcommand(name, line);
    command->preparse_callback([=](size_t) {
      command->description(description);  // for --help; `line` is for the list
    });
    return command;
  };
  CLI::App* nccl_conf_command =
      add("nccl-conf", kNcclConfDescription,
          "write NCCL's configuration for a topology file");
  AddNcclConf(nccl_conf_command, &nccl_conf);
  CLI::App* doctor_command =
      add("doctor", kDoctorDescription,
          "check this host and say what to change, and how");
  AddDoctor(doctor_command, &doctor);
  CLI::App* info_command =
      add("info", kInfoDescription, "show all options, values and sources");
  info_command->footer(kInfoEpilogue);
  info_command->add_flag("-f,--full", info.full, "with the help of each");
  try {  // CLI11 reports by exceptions; they end here
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) {
      throw CLI::RequiredError("A command (nccl-conf, doctor or info)");
    }
  } catch (const CLI::ParseError& error) {
    return Refuse(app, error);
  }
  if (nccl_conf_command->parsed()) return RunNcclConf(nccl_conf);
  if (doctor_command->parsed()) return RunDoctor(doctor, environ);
  return RunInfo(info, environ);
}

}  // namespace
}  // namespace longhaul::command

int main(int argc, char** argv) {
  try {
    return longhaul::command::Run(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "longhaul: %s\n", error.what());
    return longhaul::command::kExitUsage;
  }
}
