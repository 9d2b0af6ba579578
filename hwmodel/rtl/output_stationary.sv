// Output-stationary systolic array whose sums leave while the next fold computes.
//
// Computes, fold after fold, [R, k] times [k, C]. A enters from the left, row r by r cycles later
// than row 0; B enters from above, column c by c cycles later than column 0. With its last product a
// cell copies its sum to a second register; these registers are a shift register down the column.

module os_cell (
    input  logic               clk,
    input  logic signed [7:0]  a_in,
    input  logic               valid_in,
    input  logic               first_in,
    input  logic               last_in,
    input  logic signed [7:0]  b_in,
    input  logic               shift,
    input  logic signed [31:0] above,
    output logic signed [7:0]  a_out,
    output logic               valid_out,
    output logic               first_out,
    output logic               last_out,
    output logic signed [7:0]  b_out,
    output logic signed [31:0] result
);
  logic signed [31:0] sum;
  wire signed [31:0] next = (first_in ? 32'sd0 : sum) + 32'(a_in) * 32'(b_in);
  always_ff @(posedge clk) begin
    a_out <= a_in;
    b_out <= b_in;
    valid_out <= valid_in;
    first_out <= first_in;
    last_out <= last_in;
    if (valid_in) sum <= next;
    if (valid_in && last_in) result <= next;
    else if (shift) result <= above;
  end
endmodule

// A column drains once its bottom cell is done: row r takes over from above for r cycles. That is
// as late as possible for the bottom and leaves row r free for its next sum R cycles after this one.
module os_array #(parameter int R = 8, parameter int C = 8) (
    input  logic                clk,
    input  logic                reset,
    input  logic [R-1:0][7:0]   feed_a,
    input  logic [C-1:0][7:0]   feed_b,
    input  logic                feed_valid,
    input  logic                feed_first,
    input  logic                feed_last,
    output logic [C-1:0]        valid,
    output logic [C-1:0][31:0]  results
);
  logic signed [7:0]  a     [R][C+1];
  logic               live  [R][C+1];
  logic               first [R][C+1];
  logic               last  [R][C+1];
  logic signed [7:0]  b     [R+1][C];
  logic signed [31:0] down  [R+1][C];
  logic               shift [R+1][C];
  logic               shift_before [R][C];

  for (genvar r = 0; r < R; r++) begin : g_row
    logic [10:0] skew [r+1];
    assign skew[0] = {feed_valid, feed_first, feed_last, feed_a[r]};
    for (genvar i = 0; i < r; i++) begin : g_skew
      always_ff @(posedge clk) skew[i+1] <= reset ? 0 : skew[i];
    end
    assign a[r][0] = skew[r][7:0];
    assign last[r][0] = skew[r][8];
    assign first[r][0] = skew[r][9];
    assign live[r][0] = skew[r][10];
    for (genvar c = 0; c < C; c++) begin : g_column
      os_cell cell_i (
          .clk, .a_in(a[r][c]), .valid_in(live[r][c]), .first_in(first[r][c]),
          .last_in(last[r][c]), .b_in(b[r][c]), .shift(shift[r][c]), .above(down[r][c]),
          .a_out(a[r][c+1]), .valid_out(live[r][c+1]), .first_out(first[r][c+1]),
          .last_out(last[r][c+1]), .b_out(b[r+1][c]), .result(down[r+1][c]));
    end
  end
  for (genvar c = 0; c < C; c++) begin : g_drain
    logic [7:0] skew [c+1];
    assign skew[0] = feed_b[c];
    for (genvar i = 0; i < c; i++) begin : g_skew
      always_ff @(posedge clk) skew[i+1] <= skew[i];
    end
    assign b[0][c] = skew[c];
    assign down[0][c] = 0;

    wire start = live[R-1][c+1] && last[R-1][c+1];
    assign shift[0][c] = 0;
    for (genvar r = 0; r < R; r++) begin : g_shift
      always_ff @(posedge clk) shift_before[r][c] <= reset ? 0 : shift[r][c];
      assign shift[r+1][c] = start || shift_before[r][c];
    end
    // One more than the shifts of the last row: the bottom's own sum leaves without a shift.
    assign valid[c] = shift[R][c];
    assign results[c] = down[R][c];
  end
endmodule

// Starts a fold every `interval` cycles.
module os_control (
    input  logic        clk,
    input  logic        reset,
    input  logic [31:0] folds,
    input  logic [31:0] k,
    input  logic [31:0] interval,
    output logic        feed_valid,
    output logic        feed_first,
    output logic        feed_last,
    output logic [31:0] feed_fold,
    output logic [31:0] feed_k
);
  assign feed_valid = !reset && feed_fold < folds && feed_k < k;
  assign feed_first = feed_k == 0;
  assign feed_last = feed_k == k - 1;
  always_ff @(posedge clk) begin
    if (reset) begin
      feed_fold <= 0; feed_k <= 0;
    end else begin
      feed_k <= (feed_k == interval - 1) ? 0 : feed_k + 1;
      if (feed_k == interval - 1) feed_fold <= feed_fold + 1;
    end
  end
endmodule
