1 'first |a x y:2.5 |b z
-1 2 0.5 |a x:0.25

3 |a | broken:x:y
not an example |a
|a unlabelled
0 |b z z:-3
