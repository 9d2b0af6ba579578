// Measures which bandwidth DRAMsim3 gives to access patterns of a DMA unit; prints a line of CSV.
//
//   measure CONFIG PATTERN RUN PITCH DENSITY MEGABYTES
//
// PATTERN: `rows` and `shuffled` read a random DENSITY of the rows of RUN bytes that lie PITCH bytes
// apart, ascending or not (DENSITY 1: a strided copy); `columns` a random DENSITY of the bf16 columns
// of a matrix with rows of PITCH bytes; `lines` random lines of 64 bytes within 32 MiB.
// The DMA unit has up to 512 lines of 64 bytes under way and hands over up to 16 per DRAM cycle.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "dramsim3.h"

using Addresses = std::vector<uint64_t>;
constexpr uint64_t kLine = 64, kWindow = 512, kIssues = 16;

static std::vector<uint64_t> Choose(uint64_t total, uint64_t count, bool sorted) {
  std::vector<uint64_t> all(total);
  std::iota(all.begin(), all.end(), 0);
  std::mt19937_64 random(1);
  if (count < total || !sorted) std::shuffle(all.begin(), all.end(), random);
  all.resize(count);
  if (sorted) std::sort(all.begin(), all.end());
  return all;
}

static void Touch(Addresses& lines, uint64_t begin, uint64_t bytes) {
  for (uint64_t line = begin / kLine; line <= (begin + bytes - 1) / kLine; line++)
    if (lines.empty() || lines.back() != line * kLine) lines.push_back(line * kLine);
}

static Addresses Pattern(const std::string& name, uint64_t run, uint64_t pitch, double density,
                         uint64_t bytes) {
  Addresses lines;
  if (name == "lines") {
    std::mt19937_64 random(1);
    while (lines.size() * kLine < bytes) lines.push_back(random() % (1 << 19) * kLine);
  } else if (name == "columns") {
    uint64_t columns = pitch / 2;
    auto chosen = Choose(columns, static_cast<uint64_t>(density * columns + 0.5), true);
    for (uint64_t row = 0; lines.size() * kLine < bytes; row++)
      for (uint64_t column : chosen) Touch(lines, row * pitch + 2 * column, 2);
  } else {
    uint64_t rows = bytes / run;
    for (uint64_t row : Choose(static_cast<uint64_t>(rows / density), rows, name == "rows"))
      Touch(lines, row * pitch, run);
  }
  return lines;
}

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  Addresses lines = Pattern(argv[2], atoll(argv[3]), atoll(argv[4]), atof(argv[5]),
                            static_cast<uint64_t>(atof(argv[6]) * (1 << 20)));
  uint64_t done = 0, next = 0, cycles = 0;
  auto finished = [&done](uint64_t) { done++; };
  auto* memory = dramsim3::GetMemorySystem(argv[1], ".", finished, finished);
  std::vector<uint64_t> waiting;
  for (; done < lines.size(); cycles++) {
    while (next < lines.size() && next - done < kWindow) waiting.push_back(lines[next++]);
    uint64_t issued = 0;
    auto accepted = [&](uint64_t line) {
      if (issued == kIssues || !memory->WillAcceptTransaction(line, false)) return false;
      issued++;
      return memory->AddTransaction(line, false);
    };
    waiting.erase(std::remove_if(waiting.begin(), waiting.end(), accepted), waiting.end());
    memory->ClockTick();
  }
  memory->PrintStats();
  printf("%s,%s,%s,%s,%zu,%.1f\n", argv[2], argv[3], argv[4], argv[5], lines.size(),
         lines.size() * kLine / (cycles * memory->GetTCK()));
}
