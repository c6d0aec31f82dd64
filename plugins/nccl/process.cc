#include "process.h"

#include <longhaul/options.h>

#include <utility>

#include "log.h"
#include "topology/topology_file.h"

namespace longhaul::nccl {
namespace {

struct Registry {
  std::mutex mutex;
  size_t holds = 0;
  Process* process = nullptr;
};

// Never destroyed: NCCL's threads may come after the end of main.
Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

}  // namespace

Result<Process::Hold> Process::Acquire() {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  if (registry.holds == 0) {
    std::unique_ptr<Process> process(new Process);
    Status opened = process->Open();
    if (!opened.ok()) return opened;
    registry.process = process.release();
  }
  ++registry.holds;
  return Hold(registry.process);
}

void Process::Releaser::operator()(Process* process) const {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  if (--registry.holds > 0) return;
  registry.process = nullptr;
  delete process;
}

Process::~Process() = default;

Status Process::Open() {
  Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  const std::string wanted_site = options->site;
  if (!options->site_plugin.empty()) {
    Result<SitePlugin*> plugin = SitePlugin::Load(options->site_plugin);
    if (!plugin.ok()) return plugin.status();
    site_plugin_ = *plugin;
  }
  Result<std::unique_ptr<Context::Impl>> context =
      Context::Impl::Create(std::move(options).value(), /*assisted=*/true);
  if (!context.ok()) return context.status();
  context_ = std::move(context).value();
  const TopologyFile* file = context_->topology_file();
  Result<std::string> site = ChooseSite(wanted_site, file, context_->host());
  if (!site.ok()) return site.status();
  site_ = *site;
  site_name_ = PaceBoard::LineTo(site_);
  const SiteIndex in_file = file == nullptr ? -1 : file->FindSite(site_);
  wan_access_ = in_file < 0 || file->HostHasWan(in_file, context_->host());
  Status opened = context_->OpenDoor(site_, *this);
  if (!opened.ok()) return opened;
  card_ = context_->Card(site_, wan_access_);
  card_.labels.clear();  // handles have none: both sides shall plan the same
  greeting_ = EncodeCard(card_);
  // Without it a lost connection is opened again by the peer alone.
  if (greeting_.size() > kLongestGreeting) greeting_.clear();
  Info("Using site %s%s, %s", site_.c_str(),
       wanted_site.empty() && file == nullptr
           ? " (set LONGHAUL_SITE or LONGHAUL_TOPOLOGY to tell sites apart)"
           : "",
       card_.addresses.empty() ? "no address"
                               : card_.addresses.front().ToString().c_str());
  return {};
}

Handle Process::HandleFor(uint64_t cookie) const {
  return {cookie,     card_.incarnation, card_.capabilities,
          site_name_, card_.door,        card_.addresses};
}

ProcessCard Process::CardOf(const Handle& handle) {
  ProcessCard card;
  card.capabilities = handle.capabilities;
  card.incarnation = handle.incarnation;
  card.door = handle.door;
  card.addresses = handle.addresses;
  return card;
}

void Process::Expect(uint64_t cookie, PrivateFlowTaker& flows,
                     PipeTaker& pipes) {
  context_->Expect(cookie, flows);
  pipe_takers_[cookie] = &pipes;
}

void Process::Unexpect(uint64_t cookie) {
  context_->Unexpect(cookie);
  pipe_takers_.erase(cookie);
}

bool Process::OnPipe(PipeHub& hub, uint32_t number, uint64_t door,
                     std::span<const uint8_t> greeting) {
  const Result<ProcessCard> card = DecodeCard(greeting);
  if (card.ok()) context_->Learn(*card);
  const auto taker = pipe_takers_.find(door);
  if (taker == pipe_takers_.end()) return false;
  taker->second->TakePipe(hub, number);
  return true;
}

}  // namespace longhaul::nccl
