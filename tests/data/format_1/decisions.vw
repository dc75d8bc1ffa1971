shared s0|s c0
|a item0
|a item1
0:0:0.3333 |a item2

shared s1|s c1
|a item0
|a item1
0:0:0.3333 |a item2

shared s2|s c2
|a item0
|a item1
0:0:0.3333 |a item2

shared s3|s c0
|a item0
|a item1
0:-1:0.3333 |a item2

shared s4|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s5|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s6|s c0
0:0:0.3333 |a item0
|a item1
|a item2

shared s7|s c1
|a item0
|a item1
0:-1:0.3333 |a item2

shared s8|s c2
|a item0
0:-1:0.3333 |a item1
|a item2

shared s9|s c0
|a item0
0:-1:0.3333 |a item1
|a item2

shared s10|s c1
|a item0
0:-1:0.3333 |a item1
|a item2

shared s11|s c2
|a item0
0:0:0.3333 |a item1
|a item2

shared s12|s c0
|a item0
0:0:0.3333 |a item1
|a item2

shared s13|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s14|s c2
|a item0
0:0:0.3333 |a item1
|a item2

shared s15|s c0
|a item0
|a item1
0:-1:0.3333 |a item2

shared s16|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s17|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s18|s c0
0:0:0.3333 |a item0
|a item1
|a item2

shared s19|s c1
0:-1:0.3333 |a item0
|a item1
|a item2

shared s20|s c2
|a item0
0:0:0.3333 |a item1
|a item2

shared s21|s c0
0:-1:0.3333 |a item0
|a item1
|a item2

shared s22|s c1
|a item0
|a item1
0:-1:0.3333 |a item2

shared s23|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s24|s c0
0:-1:0.3333 |a item0
|a item1
|a item2

shared s25|s c1
0:-1:0.3333 |a item0
|a item1
|a item2

shared s26|s c2
0:-1:0.3333 |a item0
|a item1
|a item2

shared s27|s c0
|a item0
0:-1:0.3333 |a item1
|a item2

shared s28|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s29|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s30|s c0
|a item0
|a item1
0:-1:0.3333 |a item2

shared s31|s c1
|a item0
0:-1:0.3333 |a item1
|a item2

shared s32|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s33|s c0
|a item0
|a item1
0:0:0.3333 |a item2

shared s34|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s35|s c2
|a item0
0:-1:0.3333 |a item1
|a item2

shared s36|s c0
0:0:0.3333 |a item0
|a item1
|a item2

shared s37|s c1
|a item0
0:0:0.3333 |a item1
|a item2

shared s38|s c2
|a item0
0:0:0.3333 |a item1
|a item2

shared s39|s c0
|a item0
0:-1:0.3333 |a item1
|a item2

shared s40|s c1
|a item0
0:-1:0.3333 |a item1
|a item2

shared s41|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s42|s c0
0:-1:0.3333 |a item0
|a item1
|a item2

shared s43|s c1
|a item0
|a item1
0:-1:0.3333 |a item2

shared s44|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s45|s c0
0:0:0.3333 |a item0
|a item1
|a item2

shared s46|s c1
0:0:0.3333 |a item0
|a item1
|a item2

shared s47|s c2
0:0:0.3333 |a item0
|a item1
|a item2

shared s48|s c0
|a item0
0:0:0.3333 |a item1
|a item2

shared s49|s c1
|a item0
|a item1
0:0:0.3333 |a item2

shared s50|s c2
|a item0
0:0:0.3333 |a item1
|a item2

shared s51|s c0
0:-1:0.3333 |a item0
|a item1
|a item2

shared s52|s c1
|a item0
|a item1
0:-1:0.3333 |a item2

shared s53|s c2
|a item0
0:-1:0.3333 |a item1
|a item2

shared s54|s c0
0:0:0.3333 |a item0
|a item1
|a item2

shared s55|s c1
0:-1:0.3333 |a item0
|a item1
|a item2

shared s56|s c2
|a item0
|a item1
0:0:0.3333 |a item2

shared s57|s c0
|a item0
0:0:0.3333 |a item1
|a item2

shared s58|s c1
|a item0
0:0:0.3333 |a item1
|a item2

shared s59|s c2
0:-1:0.3333 |a item0
|a item1
|a item2

