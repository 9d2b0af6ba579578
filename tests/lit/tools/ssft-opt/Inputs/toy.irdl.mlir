irdl.dialect @toy {
  irdl.operation @wave {
    %0 = irdl.is f32
    irdl.operands(height: %0)
    irdl.results(length: %0)
  }
}
