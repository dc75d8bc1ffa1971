1 a|n x:0.5 y |m z
broken
0.5 b|n x:2

2 | y:1e400
-1 c|m z:3 |n y
