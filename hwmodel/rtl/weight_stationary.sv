// Weight-stationary systolic array with two banks of weights per cell, and its controller.
//
// Computes, tile after tile, [m, R] activations times [R, C] weights. Activations enter from the
// left, row r by r cycles later than row 0; sums move down and leave below the last row, column c
// by c cycles later than column 0. A bit that says which bank to use travels with each activation,
// so a tile follows another without a gap while its weights are written under way.

module ws_cell (
    input  logic               clk,
    input  logic signed [7:0]  a_in,
    input  logic               bank_in,
    input  logic               valid_in,
    input  logic signed [31:0] sum_in,
    input  logic               write,
    input  logic               write_bank,
    input  logic signed [7:0]  weight,
    output logic signed [7:0]  a_out,
    output logic               bank_out,
    output logic               valid_out,
    output logic signed [31:0] sum_out
);
  logic signed [7:0] bank0, bank1;
  wire signed [7:0] used = bank_in ? bank1 : bank0;
  always_ff @(posedge clk) begin
    if (write && !write_bank) bank0 <= weight;
    if (write && write_bank) bank1 <= weight;
    a_out <= a_in;
    bank_out <= bank_in;
    valid_out <= valid_in;
    sum_out <= sum_in + (valid_in ? 32'(a_in) * 32'(used) : 32'sd0);
  end
endmodule

// `feed` is the activations' column of R values for all rows at once; the array delays row r by r.
module ws_array #(parameter int R = 8, parameter int C = 8) (
    input  logic                     clk,
    input  logic [R-1:0][7:0]        feed,
    input  logic                     feed_bank,
    input  logic                     feed_valid,
    input  logic                     load,
    input  logic [31:0]              load_row,
    input  logic                     load_bank,
    input  logic [C-1:0][7:0]        weights,
    output logic [C-1:0]             valid,
    output logic [C-1:0][31:0]       sums
);
  logic signed [7:0]  a    [R][C+1];
  logic               bank [R][C+1];
  logic               live [R][C+1];
  logic signed [31:0] sum  [R+1][C];

  for (genvar r = 0; r < R; r++) begin : g_row
    // The delay of row r, r registers long.
    logic [9:0] skew [r+1];
    assign skew[0] = {feed_valid, feed_bank, feed[r]};
    for (genvar i = 0; i < r; i++) begin : g_skew
      always_ff @(posedge clk) skew[i+1] <= skew[i];
    end
    assign a[r][0] = skew[r][7:0];
    assign bank[r][0] = skew[r][8];
    assign live[r][0] = skew[r][9];
    for (genvar c = 0; c < C; c++) begin : g_column
      ws_cell cell_i (
          .clk, .a_in(a[r][c]), .bank_in(bank[r][c]), .valid_in(live[r][c]), .sum_in(sum[r][c]),
          .write(load && load_row == r), .write_bank(load_bank), .weight(weights[c]),
          .a_out(a[r][c+1]), .bank_out(bank[r][c+1]), .valid_out(live[r][c+1]),
          .sum_out(sum[r+1][c]));
    end
  end
  for (genvar c = 0; c < C; c++) begin : g_edge
    assign sum[0][c] = 0;
    assign sums[c] = sum[R][c];
    assign valid[c] = live[R-1][c+1];
  end
endmodule

// Loads the first tile's weights, then starts a tile every `interval` cycles. The next tile's
// weights are loaded from cycle C - 1 of a tile on: earlier, the last column still needs the bank.
module ws_control #(parameter int R = 8, parameter int C = 8) (
    input  logic        clk,
    input  logic        reset,
    input  logic [31:0] tiles,
    input  logic [31:0] m,
    input  logic [31:0] interval,
    output logic        load,
    output logic [31:0] load_tile,
    output logic [31:0] load_row,
    output logic        feed_valid,
    output logic [31:0] feed_tile,
    output logic [31:0] feed_m
);
  logic        running;  // the first tile has been loaded
  logic [31:0] phase;
  assign feed_m = phase;
  assign feed_valid = running && feed_tile < tiles && phase < m;

  always_ff @(posedge clk) begin
    if (reset) begin
      running <= 0; phase <= 0; feed_tile <= 0;
      load <= 1; load_tile <= 0; load_row <= 0;
    end else begin
      if (load) begin
        load_row <= load_row + 1;
        if (load_row == R - 1) load <= 0;
      end
      if (!running) running <= load_row == R - 1;
      else begin
        phase <= (phase == interval - 1) ? 0 : phase + 1;
        if (phase == interval - 1) feed_tile <= feed_tile + 1;
      end
      // One cycle ahead: `load` is a register.
      if (next_phase == C - 1 && next_tile + 1 < tiles) begin
        load <= 1; load_tile <= next_tile + 1; load_row <= 0;
      end
    end
  end
  wire starts = !running && load_row == R - 1;
  wire wraps = running && phase == interval - 1;
  wire [31:0] next_phase = (starts || wraps) ? 0 : running ? phase + 1 : ~32'd0;
  wire [31:0] next_tile = wraps ? feed_tile + 1 : feed_tile;
endmodule
