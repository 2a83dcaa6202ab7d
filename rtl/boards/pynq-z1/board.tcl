# Digilent PYNQ-Z1: XC7Z020, 512 MB of DDR3.

set spk_part xc7z020clg400-1
set spk_board_part www.digilentinc.com:pynq-z1:part0:1.0
set spk_memory 512M
source $here/pynq_ps7.tcl
