// Feeds an array from files, and writes its results and the cycles that it took.
//
// Arguments: +array=ws_8x8 (which of the arrays below), +tiles= +length= (m, or k) +interval=,
// +a= +b= (operands, in hexadecimal bytes), +out= (results, in order of their addresses).
// Cycle 0 is that in which the first weight or operand enters; the count is the cycle in which the
// last result can be read. "stuck" instead of a count: results were missing after 100,000 cycles.

`define DEPTH 4096

module ws_bench #(parameter int R = 8, parameter int C = 8, parameter string NAME = "") (
    input logic clk, input string chosen, input int tiles, input int length, input int interval);
  logic [R-1:0][7:0] a [`DEPTH];
  logic [C-1:0][7:0] b [`DEPTH];
  logic reset = 1;
  int cycle = 0, left;
  int taken [C];
  int results [`DEPTH * C];

  logic load, feed_valid;
  logic [31:0] load_tile, load_row, feed_tile, feed_m;
  logic [C-1:0] valid;
  logic [C-1:0][31:0] sums;
  ws_control #(R, C) control (.*, .m(length));
  ws_array #(R, C) array_i (
      .clk, .feed(a[feed_tile * length + feed_m]), .feed_bank(feed_tile[0]), .feed_valid,
      .load(load && !reset), .load_row, .load_bank(load_tile[0]),
      .weights(b[load_tile * R + load_row]), .valid, .sums);

  initial for (int c = 0; c < C; c++) taken[c] = 0;
  always @(posedge clk) if (chosen == NAME) begin
    if (reset && cycle == 0) begin
      string path;
      if ($value$plusargs("a=%s", path) != 0) $readmemh(path, a, 0, tiles * length - 1);
      if ($value$plusargs("b=%s", path) != 0) $readmemh(path, b, 0, tiles * R - 1);
      left <= tiles * length * C;
      // Long enough in reset for the validity of whatever was in the array to have left it.
      cycle <= -2 * (R + C);
    end else if (reset && cycle == -1) begin
      reset <= 0; cycle <= 0;
    end else cycle <= cycle + 1;
    if (!reset) begin
      for (int c = 0; c < C; c++) if (valid[c]) begin
        results[taken[c] * C + c] = sums[c];
        taken[c] = taken[c] + 1;
        left = left - 1;
      end
      if (left == 0) begin
        string path;
        if ($value$plusargs("out=%s", path) != 0)
          $writememh(path, results, 0, tiles * length * C - 1);
        $display("cycles %0d", cycle);
        $finish;
      end
    end
  end
endmodule

module os_bench #(parameter int R = 8, parameter int C = 8, parameter string NAME = "") (
    input logic clk, input string chosen, input int tiles, input int length, input int interval);
  logic [R-1:0][7:0] a [`DEPTH];
  logic [C-1:0][7:0] b [`DEPTH];
  logic reset = 1;
  int cycle = 0, left;
  int taken [C];
  int results [`DEPTH * C];

  logic feed_valid, feed_first, feed_last;
  logic [31:0] feed_fold, feed_k;
  logic [C-1:0] valid;
  logic [C-1:0][31:0] sums;
  wire [31:0] address = feed_fold * length + feed_k;
  os_control control (.*, .folds(tiles), .k(length));
  os_array #(R, C) array_i (
      .clk, .reset, .feed_a(a[address]), .feed_b(b[address]), .feed_valid, .feed_first, .feed_last,
      .valid, .results(sums));

  initial for (int c = 0; c < C; c++) taken[c] = 0;
  always @(posedge clk) if (chosen == NAME) begin
    if (reset && cycle == 0) begin
      string path;
      if ($value$plusargs("a=%s", path) != 0) $readmemh(path, a, 0, tiles * length - 1);
      if ($value$plusargs("b=%s", path) != 0) $readmemh(path, b, 0, tiles * length - 1);
      left <= tiles * R * C;
      cycle <= -2 * (R + C);
    end else if (reset && cycle == -1) begin
      reset <= 0; cycle <= 0;
    end else cycle <= cycle + 1;
    if (!reset) begin
      for (int c = 0; c < C; c++) if (valid[c]) begin
        // The bottom row leaves first.
        results[((taken[c] / R) * R + R - 1 - taken[c] % R) * C + c] = sums[c];
        taken[c] = taken[c] + 1;
        left = left - 1;
      end
      if (left == 0) begin
        string path;
        if ($value$plusargs("out=%s", path) != 0) $writememh(path, results, 0, tiles * R * C - 1);
        $display("cycles %0d", cycle);
        $finish;
      end
    end
  end
endmodule

module bench;
  logic clk = 0;
  string chosen;
  int tiles, length, interval;
  initial begin
    if ($value$plusargs("array=%s", chosen) == 0 || $value$plusargs("tiles=%d", tiles) == 0
        || $value$plusargs("length=%d", length) == 0
        || $value$plusargs("interval=%d", interval) == 0) $fatal(1, "missing argument");
    for (int i = 0; i < 100_000; i++) begin
      #1 clk = 1;
      #1 clk = 0;
    end
    $display("stuck");
    $finish;
  end
  ws_bench #(8, 8, "ws_8x8") ws_8x8 (.*);
  ws_bench #(16, 16, "ws_16x16") ws_16x16 (.*);
  ws_bench #(8, 4, "ws_8x4") ws_8x4 (.*);
  ws_bench #(4, 8, "ws_4x8") ws_4x8 (.*);
  os_bench #(8, 8, "os_8x8") os_8x8 (.*);
  os_bench #(16, 16, "os_16x16") os_16x16 (.*);
  os_bench #(8, 4, "os_8x4") os_8x4 (.*);
  os_bench #(4, 8, "os_4x8") os_4x8 (.*);
endmodule
