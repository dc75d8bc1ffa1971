shared p0|s c0
|a item0
|a item1
|a item2

shared p1|s c1
|a item0
|a item1
|a item2

shared p2|s c2
|a item0
|a item1
|a item2

shared p3|s c0
|a item0
|a item1
|a item2

shared p4|s c1
|a item0
|a item1
|a item2

shared p5|s c2
|a item0
|a item1
|a item2

shared p6|s c0
|a item0
|a item1
|a item2

shared p7|s c1
|a item0
|a item1
|a item2

shared p8|s c2
|a item0
|a item1
|a item2

