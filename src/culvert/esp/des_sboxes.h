/* The S-boxes of DES (FIPS 46-3) as circuits, 538 gates; made by tools/des_circuits.py. */
#define BOX_OF(n) \
    static inline void box##n(lane a, lane b, lane c, lane d, lane e, lane f, lane *w, lane *x, \
                              lane *y, lane *z)

BOX_OF(1) /* 75 gates */
{
    lane t0 = e & ~d; lane t1 = d & ~f; lane t2 = t0 ^ t1; lane t3 = ~d; lane t4 = d ^ e;
    lane t5 = f & t4; lane t6 = t3 ^ t5; lane t7 = b & t6; lane t8 = t2 ^ t7; lane t9 = t3 | t4;
    lane t10 = t9 & ~b; lane t11 = t8 & ~c; lane t12 = t10 ^ t11; lane t13 = t1 ^ t9;
    lane t14 = b & t3; lane t15 = t13 ^ t14; lane t16 = t9 & ~f; lane t17 = t0 ^ t16;
    lane t18 = b ^ t17; lane t19 = c & t15; lane t20 = t18 ^ t19; lane t21 = a & t12;
    lane t22 = t20 ^ t21; lane t23 = d | t17; lane t24 = t2 & t23; lane t25 = t24 & ~b;
    lane t26 = t23 ^ t25; lane t27 = d ^ t9; lane t28 = f & t27; lane t29 = e ^ t28;
    lane t30 = t17 ^ t24; lane t31 = t30 & ~b; lane t32 = t29 ^ t31; lane t33 = t32 & ~c;
    lane t34 = t26 ^ t33; lane t35 = t1 ^ t5; lane t36 = f ^ t13; lane t37 = t36 & ~b;
    lane t38 = t35 ^ t37; lane t39 = t5 ^ t17; lane t40 = f & ~b; lane t41 = t39 ^ t40;
    lane t42 = c & t41; lane t43 = t38 ^ t42; lane t44 = a & t34; lane t45 = t43 ^ t44;
    lane t46 = t13 ^ t17; lane t47 = e | t30; lane t48 = t47 & ~b; lane t49 = t46 ^ t48;
    lane t50 = t31 ^ t39; lane t51 = c & t50; lane t52 = t49 ^ t51; lane t53 = t23 & t48;
    lane t54 = ~t53; lane t55 = t3 | t16; lane t56 = t6 ^ t24; lane t57 = b & t56;
    lane t58 = t55 ^ t57; lane t59 = t54 & ~c; lane t60 = t58 ^ t59; lane t61 = a & t52;
    lane t62 = t60 ^ t61; lane t63 = d ^ t17; lane t64 = b & t35; lane t65 = t63 ^ t64;
    lane t66 = f | t15; lane t67 = t66 & ~c; lane t68 = t65 ^ t67; lane t69 = t2 | t18;
    lane t70 = t8 ^ t56; lane t71 = t70 & ~c; lane t72 = t69 ^ t71; lane t73 = t72 & ~a;
    lane t74 = t68 ^ t73;
    *w ^= t22; *x ^= t45; *y ^= t62; *z ^= t74;
}

BOX_OF(2) /* 66 gates */
{
    lane t0 = ~a; lane t1 = t0 & ~e; lane t2 = a ^ t1; lane t3 = t2 & ~f; lane t4 = e ^ t3;
    lane t5 = e ^ t0; lane t6 = f ^ t5; lane t7 = t4 & ~c; lane t8 = t6 ^ t7; lane t9 = f | t4;
    lane t10 = e ^ t2; lane t11 = f ^ t9; lane t12 = ~t11; lane t13 = c & t9;
    lane t14 = t12 ^ t13; lane t15 = t14 & ~b; lane t16 = t8 ^ t15; lane t17 = t12 & ~t7;
    lane t18 = t11 & ~b; lane t19 = t17 ^ t18; lane t20 = t19 & ~d; lane t21 = t16 ^ t20;
    lane t22 = t0 ^ t2; lane t23 = t22 & ~c; lane t24 = t9 ^ t23; lane t25 = a ^ t12;
    lane t26 = a | t4; lane t27 = t25 & ~c; lane t28 = t26 ^ t27; lane t29 = b & t28;
    lane t30 = t24 ^ t29; lane t31 = t0 & t6; lane t32 = c & t31; lane t33 = t10 ^ t32;
    lane t34 = ~t26; lane t35 = a & t23; lane t36 = t34 ^ t35; lane t37 = b & t36;
    lane t38 = t33 ^ t37; lane t39 = d & t38; lane t40 = t30 ^ t39; lane t41 = t3 | t10;
    lane t42 = t41 & ~c; lane t43 = t25 ^ t42; lane t44 = t7 & t43; lane t45 = t22 ^ t44;
    lane t46 = b & t45; lane t47 = t43 ^ t46; lane t48 = t2 ^ t41; lane t49 = b | t48;
    lane t50 = t49 & ~d; lane t51 = t47 ^ t50; lane t52 = t2 ^ t6; lane t53 = t23 | t52;
    lane t54 = e | t6; lane t55 = t3 ^ t52; lane t56 = t54 & ~c; lane t57 = t55 ^ t56;
    lane t58 = t53 & ~b; lane t59 = t57 ^ t58; lane t60 = t25 ^ t54; lane t61 = t31 ^ t54;
    lane t62 = b & t61; lane t63 = t60 ^ t62; lane t64 = t63 & ~d; lane t65 = t59 ^ t64;
    *w ^= t51; *x ^= t21; *y ^= t40; *z ^= t65;
}

BOX_OF(3) /* 68 gates */
{
    lane t0 = a ^ f; lane t1 = ~a; lane t2 = t1 & ~f; lane t3 = a ^ t2; lane t4 = t1 & ~d;
    lane t5 = t3 ^ t4; lane t6 = t5 & ~c; lane t7 = t0 ^ t6; lane t8 = t0 ^ t1; lane t9 = f & ~d;
    lane t10 = t8 ^ t9; lane t11 = ~t5; lane t12 = t11 & ~c; lane t13 = t10 ^ t12;
    lane t14 = t13 & ~b; lane t15 = t7 ^ t14; lane t16 = t2 & ~c; lane t17 = t0 | t9;
    lane t18 = d & t3; lane t19 = t2 ^ t18; lane t20 = c & t17; lane t21 = t19 ^ t20;
    lane t22 = t16 & ~b; lane t23 = t21 ^ t22; lane t24 = e & t23; lane t25 = t15 ^ t24;
    lane t26 = t2 ^ t8; lane t27 = t26 & ~d; lane t28 = t0 ^ t27; lane t29 = c ^ t28;
    lane t30 = t0 ^ t17; lane t31 = ~t30; lane t32 = t6 | t31; lane t33 = b & t32;
    lane t34 = t29 ^ t33; lane t35 = a & ~t7; lane t36 = t0 ^ t5; lane t37 = c ^ t36;
    lane t38 = t35 & ~b; lane t39 = t37 ^ t38; lane t40 = t39 & ~e; lane t41 = t34 ^ t40;
    lane t42 = c | t4; lane t43 = t8 ^ t19; lane t44 = c ^ t43; lane t45 = t42 & ~b;
    lane t46 = t44 ^ t45; lane t47 = t9 ^ t31; lane t48 = t6 | t47; lane t49 = t8 & t37;
    lane t50 = t14 & t49; lane t51 = t48 ^ t50; lane t52 = e & t51; lane t53 = t46 ^ t52;
    lane t54 = t4 ^ t28; lane t55 = t19 & ~c; lane t56 = t5 ^ t55; lane t57 = b & t54;
    lane t58 = t56 ^ t57; lane t59 = t7 & t37; lane t60 = t36 ^ t47; lane t61 = t1 ^ t18;
    lane t62 = t60 & ~c; lane t63 = t61 ^ t62; lane t64 = t63 & ~b; lane t65 = t59 ^ t64;
    lane t66 = t58 & ~e; lane t67 = t65 ^ t66;
    *w ^= t53; *x ^= t25; *y ^= t67; *z ^= t41;
}

BOX_OF(4) /* 49 gates */
{
    lane t0 = ~c; lane t1 = c & ~a; lane t2 = a & ~e; lane t3 = t1 ^ t2; lane t4 = d & t3;
    lane t5 = t0 ^ t4; lane t6 = e | t1; lane t7 = e ^ t3; lane t8 = t7 & ~d; lane t9 = t6 ^ t8;
    lane t10 = t5 & ~b; lane t11 = t9 ^ t10; lane t12 = t0 ^ t1; lane t13 = t12 & ~e;
    lane t14 = a ^ t13; lane t15 = t14 & ~d; lane t16 = t3 ^ t15; lane t17 = t3 | t14;
    lane t18 = c ^ e; lane t19 = d & t18; lane t20 = t17 ^ t19; lane t21 = b & t20;
    lane t22 = t16 ^ t21; lane t23 = t22 & ~f; lane t24 = t11 ^ t23; lane t25 = ~t22;
    lane t26 = f & t25; lane t27 = t11 ^ t26; lane t28 = t13 ^ t18; lane t29 = t3 ^ t4;
    lane t30 = t28 ^ t29; lane t31 = a ^ t18; lane t32 = d & t6; lane t33 = t31 ^ t32;
    lane t34 = t30 & ~b; lane t35 = t33 ^ t34; lane t36 = c ^ t28; lane t37 = t18 ^ t19;
    lane t38 = t36 ^ t37; lane t39 = t6 ^ t28; lane t40 = t15 & t38; lane t41 = t39 ^ t40;
    lane t42 = t38 & ~b; lane t43 = t41 ^ t42; lane t44 = f & t43; lane t45 = t35 ^ t44;
    lane t46 = ~t43; lane t47 = t46 & ~f; lane t48 = t35 ^ t47;
    *w ^= t24; *x ^= t27; *y ^= t45; *z ^= t48;
}

BOX_OF(5) /* 75 gates */
{
    lane t0 = ~e; lane t1 = b ^ t0; lane t2 = t0 & t1; lane t3 = t1 & ~c; lane t4 = t2 ^ t3;
    lane t5 = c | t2; lane t6 = t4 & ~d; lane t7 = t5 ^ t6; lane t8 = e ^ t2; lane t9 = t8 & ~d;
    lane t10 = t7 & ~a; lane t11 = t9 ^ t10; lane t12 = ~t5; lane t13 = d & t2;
    lane t14 = t12 ^ t13; lane t15 = b ^ e; lane t16 = t8 & ~c; lane t17 = t15 ^ t16;
    lane t18 = d ^ t17; lane t19 = t14 & ~a; lane t20 = t18 ^ t19; lane t21 = t11 & ~f;
    lane t22 = t20 ^ t21; lane t23 = t17 & ~t2; lane t24 = d & t23; lane t25 = t1 ^ t24;
    lane t26 = t12 & t15; lane t27 = e ^ t26; lane t28 = b | t16; lane t29 = d & t28;
    lane t30 = t27 ^ t29; lane t31 = t25 & ~a; lane t32 = t30 ^ t31; lane t33 = b & t12;
    lane t34 = e ^ t33; lane t35 = t34 & ~d; lane t36 = t1 ^ t3; lane t37 = t9 & t36;
    lane t38 = ~t37; lane t39 = a & t35; lane t40 = t38 ^ t39; lane t41 = t40 & ~f;
    lane t42 = t32 ^ t41; lane t43 = t3 ^ t9; lane t44 = t8 ^ t16; lane t45 = t0 ^ t44;
    lane t46 = d & t30; lane t47 = t45 ^ t46; lane t48 = a & t43; lane t49 = t47 ^ t48;
    lane t50 = t4 ^ t34; lane t51 = d & t50; lane t52 = t15 ^ t51; lane t53 = c ^ e;
    lane t54 = t24 | t53; lane t55 = a & t54; lane t56 = t52 ^ t55; lane t57 = f & t49;
    lane t58 = t56 ^ t57; lane t59 = c & t0; lane t60 = d & t59; lane t61 = t16 ^ t60;
    lane t62 = t0 ^ t2; lane t63 = t18 & t62; lane t64 = t5 ^ t63; lane t65 = t61 & ~a;
    lane t66 = t64 ^ t65; lane t67 = t15 | t34; lane t68 = t24 ^ t51; lane t69 = t67 ^ t68;
    lane t70 = t47 | t53; lane t71 = a & t70; lane t72 = t69 ^ t71; lane t73 = t66 & ~f;
    lane t74 = t72 ^ t73;
    *w ^= t58; *x ^= t42; *y ^= t22; *z ^= t74;
}

BOX_OF(6) /* 70 gates */
{
    lane t0 = c | e; lane t1 = ~e; lane t2 = t1 & ~a; lane t3 = b ^ t2; lane t4 = b ^ t1;
    lane t5 = e & ~a; lane t6 = t4 ^ t5; lane t7 = c & t3; lane t8 = t6 ^ t7; lane t9 = t0 & ~d;
    lane t10 = t8 ^ t9; lane t11 = b | t1; lane t12 = a & t11; lane t13 = b ^ t12;
    lane t14 = b & t13; lane t15 = t1 ^ t14; lane t16 = t15 & ~c; lane t17 = t13 ^ t16;
    lane t18 = t13 ^ t15; lane t19 = t2 ^ t18; lane t20 = ~t19; lane t21 = t17 & ~c;
    lane t22 = t20 ^ t21; lane t23 = d & t17; lane t24 = t22 ^ t23; lane t25 = f & t24;
    lane t26 = t10 ^ t25; lane t27 = e ^ t5; lane t28 = t11 ^ t27; lane t29 = t28 & ~t3;
    lane t30 = e | t14; lane t31 = t30 & ~c; lane t32 = t29 ^ t31; lane t33 = t28 & ~d;
    lane t34 = t32 ^ t33; lane t35 = e & ~t29; lane t36 = t12 & ~c; lane t37 = t11 ^ t36;
    lane t38 = t9 & t35; lane t39 = t37 ^ t38; lane t40 = t39 & ~f; lane t41 = t34 ^ t40;
    lane t42 = t1 ^ t28; lane t43 = a & t7; lane t44 = t42 ^ t43; lane t45 = e ^ t18;
    lane t46 = t16 | t45; lane t47 = d & t44; lane t48 = t46 ^ t47; lane t49 = t2 ^ t13;
    lane t50 = t5 & t31; lane t51 = t49 ^ t50; lane t52 = a ^ t35; lane t53 = c & t45;
    lane t54 = t52 ^ t53; lane t55 = t51 & ~d; lane t56 = t54 ^ t55; lane t57 = f & t48;
    lane t58 = t56 ^ t57; lane t59 = t6 & ~c; lane t60 = t3 ^ t59; lane t61 = ~t8;
    lane t62 = d & t61; lane t63 = t60 ^ t62; lane t64 = t30 ^ t61; lane t65 = a & ~t64;
    lane t66 = d & t64; lane t67 = t65 ^ t66; lane t68 = f & t67; lane t69 = t63 ^ t68;
    *w ^= t26; *x ^= t58; *y ^= t41; *z ^= t69;
}

BOX_OF(7) /* 70 gates */
{
    lane t0 = ~b; lane t1 = b ^ e; lane t2 = d & t1; lane t3 = t0 ^ t2; lane t4 = b & ~d;
    lane t5 = t1 ^ t4; lane t6 = c & t3; lane t7 = t5 ^ t6; lane t8 = e ^ t0; lane t9 = d ^ t2;
    lane t10 = b ^ t9; lane t11 = b ^ t3; lane t12 = t11 & ~c; lane t13 = t10 ^ t12;
    lane t14 = t13 & ~a; lane t15 = t7 ^ t14; lane t16 = t2 ^ t4; lane t17 = t16 & ~c;
    lane t18 = t11 ^ t17; lane t19 = e | t11; lane t20 = b & c; lane t21 = t19 ^ t20;
    lane t22 = t21 & ~a; lane t23 = t18 ^ t22; lane t24 = f & t23; lane t25 = t15 ^ t24;
    lane t26 = e | t2; lane t27 = t6 | t26; lane t28 = t10 ^ t26; lane t29 = c ^ t28;
    lane t30 = a & t27; lane t31 = t29 ^ t30; lane t32 = b ^ t8; lane t33 = t1 | t10;
    lane t34 = c & t33; lane t35 = t32 ^ t34; lane t36 = t3 ^ t28; lane t37 = d ^ t11;
    lane t38 = t37 & ~c; lane t39 = t36 ^ t38; lane t40 = a & t35; lane t41 = t39 ^ t40;
    lane t42 = f & t41; lane t43 = t31 ^ t42; lane t44 = t1 ^ t33; lane t45 = d ^ t16;
    lane t46 = c & t45; lane t47 = t44 ^ t46; lane t48 = a & t47; lane t49 = t19 ^ t48;
    lane t50 = t36 ^ t45; lane t51 = c ^ t46; lane t52 = t50 ^ t51; lane t53 = a ^ t48;
    lane t54 = t52 ^ t53; lane t55 = t49 & ~f; lane t56 = t54 ^ t55; lane t57 = d ^ t33;
    lane t58 = t0 ^ t36; lane t59 = c & t57; lane t60 = t58 ^ t59; lane t61 = a & t60;
    lane t62 = t7 ^ t61; lane t63 = t7 ^ t11; lane t64 = t1 ^ t16; lane t65 = c ^ t64;
    lane t66 = t63 & ~a; lane t67 = t65 ^ t66; lane t68 = f & t67; lane t69 = t62 ^ t68;
    *w ^= t69; *x ^= t25; *y ^= t43; *z ^= t56;
}

BOX_OF(8) /* 65 gates */
{
    lane t0 = ~e; lane t1 = t0 & ~a; lane t2 = a | c; lane t3 = t1 & ~d; lane t4 = t2 ^ t3;
    lane t5 = ~t1; lane t6 = t0 & ~c; lane t7 = e ^ t6; lane t8 = d & t5; lane t9 = t7 ^ t8;
    lane t10 = t4 & ~b; lane t11 = t9 ^ t10; lane t12 = a & c; lane t13 = d & t12;
    lane t14 = a & e; lane t15 = t14 & ~c; lane t16 = ~t15; lane t17 = a & d;
    lane t18 = t16 ^ t17; lane t19 = t10 & t13; lane t20 = t18 ^ t19; lane t21 = t20 & ~f;
    lane t22 = t11 ^ t21; lane t23 = a ^ t1; lane t24 = c ^ t23; lane t25 = t24 & ~d;
    lane t26 = t15 ^ t25; lane t27 = t14 | t17; lane t28 = b & t26; lane t29 = t27 ^ t28;
    lane t30 = c & t23; lane t31 = t5 ^ t8; lane t32 = t30 ^ t31; lane t33 = b & t16;
    lane t34 = t32 ^ t33; lane t35 = f & t29; lane t36 = t34 ^ t35; lane t37 = e ^ t1;
    lane t38 = d & t37; lane t39 = t24 ^ t38; lane t40 = t1 | t9; lane t41 = t40 & ~b;
    lane t42 = t39 ^ t41; lane t43 = a ^ e; lane t44 = t31 & t43; lane t45 = t15 ^ t44;
    lane t46 = t1 | t6; lane t47 = a ^ t2; lane t48 = t37 ^ t47; lane t49 = d & t48;
    lane t50 = t46 ^ t49; lane t51 = t50 & ~b; lane t52 = t45 ^ t51; lane t53 = t52 & ~f;
    lane t54 = t42 ^ t53; lane t55 = ~t42; lane t56 = t2 ^ t16; lane t57 = t0 ^ t56;
    lane t58 = t57 & ~t25; lane t59 = t1 ^ t6; lane t60 = d | t59; lane t61 = t58 & ~b;
    lane t62 = t60 ^ t61; lane t63 = f & t62; lane t64 = t55 ^ t63;
    *w ^= t54; *x ^= t22; *y ^= t36; *z ^= t64;
}
#undef BOX_OF
