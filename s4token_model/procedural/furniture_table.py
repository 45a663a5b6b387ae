"""What stands, lies and hangs in rooms, as text: sizes, materials and pieces, in the language of pieces.py."""

SEATS = """
chair:dining 31 38-52 40-54 76-104 s41-49 wood|wood|metal
- leg tube/xy 42 50 42 50 0 s-3c; seat box -50 50 -50 50 s-3c s; back box~/x 44 50 44 49 s 100;
  back box~*2-4z:6 -48 48 45 49 s+10c 100
- leg box/xy 42 50 42 50 0 s-3c; seat box -50 50 -50 50 s-3c s; back box~*4-8x:2 -48 48 44 48 s 100;
  back box~ -50 50 43 49 100-7c 100; leg? box/x 43 46 -45 45 18c 20c
- leg bar/xy 50 50 45 45 0 s-2c 1.4; seat box -50 50 -50 50 s-3c s; back box~ -48 48 43 48 s+12c 100;
  back box~/x 42 48 44 49 s s+12c; arm?30 box/x 46 50 -40 48 s+19c s+22c; arm?30 box/x 46 50 -40 -32 s s+19c
chair:dining 14 40-54 42-56 78-104 s43-49 fabric|leather/wood|metal
- leg tube/xy 42 49 42 49 0 s-6c; seat soft -50 50 -50 48 s-7c s 3; back soft~ -48 48 38 48 s+4c 100 3;
  arm?30 box/x 46 50 -40 45 s+19c s+22c; arm?30 box/x 47 49 -40 -34 s-3c s+19c
chair:office 22 50-64 52-64 84-125 s43-55 black+black+black+grey+grey+blue+red+green:fabric/black+black+grey:metal
- base star -50 50 -50 50 0 12c; base tube -4 4 -4 4 9c s-8c; seat soft -44 44 -46 38 s-8c s 4;
  back soft~ -40 40 34 46 s+6c 100 5; back box~ -5 5 44 48 s-8c s+20c; arm?75 box/x 47 52 -22 22 s+19c s+22c;
  arm?75 box/x 48 51 -3 3 s-6c s+19c; base box -48 48 -4 4 s-9c s-6c
chair:armchair 24 66-95 68-90 66-98 s36-46 fabric|fabric|leather/wood
- leg box/xy 40 45 40 45 0 9c; body soft -50 50 -46 50 7c s-11c 2; seat soft -33 33 -50 24 s-14c s;
  back soft~ -36 36 20 38 s-5c 100 7; back soft -50 50 38 50 7c 85 4; arm soft/x 33 50 -48 46 7c s+18c 7
- leg bar/xy 42 38 42 38 0 s-10c 2; seat soft -40 40 -48 30 s-12c s; back soft~ -42 42 28 44 s-8c 100 6;
  arm box/x 42 48 -44 40 s+16c s+20c; leg box/x 43 47 -44 -36 0 s+16c; leg box/x 43 47 32 40 0 s+16c
chair:shell 10 44-56 46-58 72-86 s42-47 white+black+grey+red+blue+green+orange+yellow/wood|metal
- seat soft -46 46 -46 40 s-5c s 2; back soft~ -44 44 36 44 s-2c 100 2; arm?40 soft/x 42 48 -20 42 s s+16c 2;
  leg bar/xy 46 24 46 24 0 s-4c 1.4
- seat soft -46 46 -46 40 s-5c s 2; back soft~ -44 44 36 44 s-2c 100 2; base tube -4 4 -4 4 2c s-4c;
  base tube -42 42 -42 42 0 3c 40
chair:folding 5 42-48 44-50 75-86 s42-46 black+grey+brown+white+blue+red/metal
- leg bar/x 48 48 -44 40 0 100 1.2; leg bar/x 42 42 48 -34 0 s 1.2; seat box -46 46 -42 38 s-2c s;
  back box -48 48 32 36 75 98; leg bar -48 48 46 46 5c 5c 1
chair:cantilever 8 48-58 52-60 78-98 s43-47 fabric|leather/metal
- leg bar/x 46 46 46 -46 2c 2c 1.3; leg bar/x 46 46 -46 -44 2c s+19c 1.3; arm bar/x 46 46 -44 44 s+19c s+19c 1.3;
  back bar/x 44 44 40 48 s-5c 100 1.3; seat soft -44 44 -46 42 s-6c s 3; back soft~ -44 44 38 48 s+6c 100 3
sofa:small 10 115-170 70-92 62-92 s36-46 fabric|fabric|leather/wood
sofa 34 130-190 78-100 64-96 s36-47 fabric|fabric|leather/wood
- leg box/xy 44 48 40 46 0 10c; body soft -50 50 -46 50 6c s-11c 2; seat soft*2x:0 -40 40 -50 22 s-14c s;
  back soft~*2x:0 -40 40 18 36 s-5c 100 8; back soft -50 50 38 50 6c 86 4; arm soft/x 40 50 -48 48 6c s+17c 8
- leg bar/xy 46 44 44 40 0 s-12c 2; base box -48 48 -46 44 s-18c s-12c; seat soft*2x:0 -44 44 -50 24 s-14c s;
  back soft~ -46 46 24 42 s-4c 100 6; arm soft/x 44 50 -46 44 s-16c s+16c 4
sofa 46 185-285 80-102 62-96 s36-47 fabric|fabric|leather/wood
- leg box/xy 46 48 40 46 0 10c; body soft -50 50 -46 50 6c s-11c 2; seat soft*3x:0 -44 44 -50 22 s-14c s;
  back soft~*3x:0 -44 44 18 36 s-5c 100 8; back soft -50 50 38 50 6c 86 4; arm soft/x 44 50 -48 48 6c s+17c 8
- body soft -50 50 -46 50 2c s-12c 2; seat soft*2-4x:0 -45 45 -50 20 s-14c s;
  back soft~*2-4x:0 -45 45 16 34 s-5c 100 9; back soft -50 50 36 50 0 90 4; arm soft/x 45 50 -50 50 0 90 4
sofa 22 200-300 150-225 65-92 s38-46 fabric|fabric|leather/wood
- body soft -50 50 5 50 4c s-12c 2; body soft 17 50 -50 8 4c s-12c 2; seat soft*2x:0 -44 17 4 36 s-14c s;
  seat soft 17 50 -50 36 s-14c s; back soft~*3x:0 -44 44 34 42 s-5c 100 8; back soft -50 50 42 50 4c 88 4;
  arm soft -50 -44 5 48 4c s+18c 6
stool 6 30-42 = 40-50 wood|metal|fabric/wood|metal
stool 5 30-40 = 60-80 wood|metal|leather/wood|metal
- #round seat tube -50 50 -50 50 100-4c 100; leg bar/xy 36 26 36 26 0 100-4c 1.4; leg box/x 28 31 -30 30 35 38
- #square seat soft -50 50 -45 45 100-7c 100 2; leg box/xy 38 45 34 41 0 100-7c
- #round seat tube -50 50 -50 50 100-5c 100; leg tube -7 7 -7 7 2c 100-5c; base tube -46 46 -46 46 0 3c 30
bench 10 90-180 30-48 40-48 wood
- #long leg box/xy 44 48 34 46 0 100-5c; seat soft -50 50 -50 50 100-7c 100 2
- #long leg box/xy 44 48 34 46 0 100-5c; seat box*3y:9 -50 50 -50 50 100-4c 100; back box*2z:9 -50 50 44 48 130 190;
  back box/x 42 46 46 50 90 190
ottoman 10 40-95 40-65 32-46 fabric|leather
- #round seat tube -50 50 -50 50 0 100 92
- #square seat soft -50 50 -50 50 5c 100; leg box/xy 40 46 40 46 0 6c
"""

TABLES = """
table:dining 38 70-200 66-100 68-80 wood|wood|wood|white+grey+black/wood|metal
table:coffee 27 70-135 46-80 34-50 wood|wood|wood|white+grey+black/wood|metal
table:side 17 36-62 = 42-66 wood|wood|wood|white+grey+black/wood|metal
table:conference 10 180-320 90-140 71-77 wood|wood|white+grey/wood|metal
table:console 8 80-150 28-45 70-85 wood|wood|wood|white+grey+black/wood|metal
- top box -50 50 -50 50 100-4c 100; leg box/xy 50-7c 50-2c 50-7c 50-2c 0 100-4c;
  frame? box/y -50+6c 50-6c 50-6c 50-4c 100-11c 100-4c; shelf?30 box -46 46 -44 44 16c 18c
- top box -50 50 -50 50 100-3c 100; leg bar/xy 50-4c 50-9c 50-4c 50-9c 0 100-3c 2.4
- top box -50 50 -50 50 100-5c 100; leg box/x 50-6c 50-2c -45 45 0 3c; leg box/xy 50-6c 50-2c 42 45 0 100-5c
- top box -50 50 -50 50 100-4c 100; side box/x 50-5c 50-1c -50 50 0 100-4c; shelf?40 box -48 48 -46 46 8c 11c
- top box -50 50 -50 50 100-4c 100; leg box/x 36 42 -42 42 0 6c; leg box/x 37 41 -16 16 6c 100-4c;
  frame box -37 37 -2 2 25 35
- #round top tube -50 50 -50 50 100-3c 100; leg tube -5c 5c -5c 5c 2c 100-3c; base tube -32 32 -32 32 0 4c 40
- #round top tube -50 50 -50 50 100-3c 100; leg bar/xy 34 30 34 30 0 100-3c 2.2
desk 10 100-185 52-82 70-78 wood|wood|white+grey+beige+black/wood|metal
- top box -50 50 -50 50 100-3c 100; leg box/xy 50-6c 50-2c 50-6c 50-2c 0 100-3c; panel? box -46 46 42 44 35 100-3c
- top box -50 50 -50 50 100-4c 100; side box/x 50-4c 50-1c -46 50 0 100-4c;
  drawer fronts 50-45c 50-5c -44 -41 5c 100-5c 60 100; drawer box 50-45c 50-5c -41 46 4c 100-4c;
  panel? box -46 46 44 47 20 100-4c
- top box -50 50 -50 50 100-4c 100; drawer fronts/x 50-42c 50-2c -46 -43 5c 100-5c 60 100;
  drawer box/x 50-42c 50-2c -43 48 3c 100-4c
- top box -50 50 -50 50 100-3c 100; leg box/xy 50-5c 50-2c 50-6c 50-2c 0 100-3c; leg box/x 50-6c 50-2c -45 45 0 4c;
  panel?25 box -50 50 50 54 60 150; frame?25 box -50 50 50 52 100 102
- #long top box -50 50 -50 50 100-4c 100; side box/x 50-4c 50-1c -46 50 0 100-4c;
  shelf?40 box*2z:2 -50 50 20 50 135 180; side?40 box*2-4x:2 -50 50 20 50 100 180
counter 10 120-260 52-80 88-108 grey+black+white+beige:stone/wood
- #long top box -50 50 -50 50 100-4c 100; frame box 50-4c -50+4c -40 48 0 100-4c;
  panel box*3-5x:3 -46 46 -42 -40 10c 100-10c
counter:worktop 0 60 60 4 grey+black+white+beige+brown:stone|wood
- #long top box -50 50 -50 50 0 100; back? box -50 50 48 50 0 12c
counter:opened 0 60 60 4 grey+black+white+beige+brown:stone|wood
- top box/x 42 50 -50 50 0 100; top box -42 42 -50 -36 0 100; top box -42 42 34 50 0 100
"""

STORAGE = """
cabinet:wardrobe 24 70-200 45-65 160-225 wood|wood|white+white+grey+beige+black
- body box -50 50 -50+2c 50 6c 100; base box -48 48 -40 50 0 6c; door fronts -50 50 -50 -50+2c 6c 100-1c 55 5
cabinet:side 22 90-190 38-55 70-115 wood|wood|white+white+grey+beige+black
cabinet:low 16 90-190 35-50 35-60 wood|wood|white+white+grey+beige+black
cabinet:kitchen 12 40-180 56-62 80-90 wood|white+grey
- body box -50 50 -50+2c 50 8c 100-2c; leg box/xy 50-8c 50-4c 50-8c 50-4c 0 8c;
  door fronts -50 50 -50 -50+2c 8c 100-2c 50 35; top box -50 50 -50 50 100-2c 100
- body box -50 50 -50+2c 50 8c 100; base box -48 48 -40 50 0 8c; door fronts -50 50 -50 -50+2c 8c 100 50 35
cabinet:chest 12 40-80 35-50 60-135 wood|wood|white+grey+beige+black
- body box -50 50 -50+2c 50 6c 100; base box -48 48 -44 48 0 6c; door fronts -50 50 -50 -50+2c 6c 100-1c 50 50
cabinet:file 14 38-50 45-65 65-155 grey+grey+beige+black+white:metal
- body box -50 50 -50+2c 50 0 100; drawer fronts -50 50 -50 -50+2c 4c 100-1c 60 100
cabinet:unit 0 60 60 82 wood|white+grey
- body box -50 50 -50+2c 50 10c 100; base box -48 48 -42 50 0 10c; door fronts -50 50 -50 -50+2c 10c 100 50 25
cabinet:hollow 0 80 60 82 wood|white+grey
- body box/x 48 50 -50+2c 50 10c 100; body box -50 50 47 50 10c 100; base box -48 48 -42 50 0 10c;
  door fronts -50 50 -50 -50+2c 10c 100 50 10
cabinet:hung 0 60 35 70 wood|white+grey
- body box -50 50 -50+2c 50 0 100; door fronts -50 50 -50 -50+2c 0 100 45 0
dresser 10 70-160 40-55 70-125 wood
- body box -50 50 -50+2c 50 8c 100; leg box/xy 50-8c 50-4c 50-8c 50-4c 0 8c;
  drawer fronts -50 50 -50 -50+2c 8c 100-2c 65 100
nightstand 10 36-60 34-48 42-70 wood
- body box -50 50 -50+2c 50 8c 100; leg box/xy 42 48 40 46 0 8c; drawer fronts -50 50 -50 -50+2c 8c 100-1c 100 80
- top box -50 50 -50 50 100-3c 100; drawer box -46 46 -48 48 100-17c 100-3c; leg box/xy 42 48 40 46 0 100-3c;
  shelf box -46 46 -46 46 12c 14c
bookshelf 7 50-180 22-40 150-230 wood|wood|wood|metal
bookshelf 3 50-180 22-40 75-140 wood|wood|wood|metal
- side bookcase -50 50 -50 50 0 100
shelf 10 40-140 16-42 14-16 wood|metal
- shelf box -50 50 -50 50 100-2c 100; frame bar/x 40 40 48 -44 0 100-2c 0.8; content? box -30 -8 -30 30 100 200
shelf 12 40-140 16-42 60-110 wood|metal
- shelf box*2-4z:2 -50 50 -50 50 12c 100; frame box/x 40 42 44 50 0 100; content? box -30 -8 -30 30 12c 30c;
  books books -45 45 -20 45 100 100+22c 60
"""

WET = """
toilet 10 36-48 62-72 70-84 s38-44 ceramic
- bowl bowl -46 46 -50 12 0 s 60 2.2 14; seat bowl -47 47 -50 12 s s+2c 98 2.2 34;
  tank soft -50 50 20 50 s-2c 100-3c 3; lid soft -50 50 19 50 100-3c 100 1; base box -34 34 0 44 0 s;
  lid? tube -46 46 -50 12 s+2c s+5c 96; handle box -38 -28 16 20 100-9c 100-7c
- bowl bowl -46 46 -50 20 s-28c s 55 2.2 14; seat bowl -47 47 -50 20 s s+2c 98 2.2 34;
  lid soft -45 45 22 30 s+2c s+44c 1; base box -14 14 20 50 0 s
sink:basin 0 40-75 38-50 18-20 metal|ceramic
- basin bowl -50 50 -50 38 0 100 60 4 5; basin box -50 50 36 50 100-3c 100; tap box -2 2 40 46 100 100+20c;
  tap bar 0 0 43 5 100+19c 100+17c 1.2
sink 70 45-70 38-52 80-90 ceramic
- basin bowl -50 50 -50 36 100-18c 100 55 3 6; basin box -50 50 34 50 100-12c 100; tap box -2 2 38 44 100 100+14c;
  tap bar 0 0 41 5 100+13c 100+12c 1.2; base tube -16 16 -10 36 0 100-16c 80
- basin bowl -50 50 -50 36 100-16c 100 55 8 6; basin box -50 50 34 50 100-12c 100; tap box -2 2 38 44 100 100+14c;
  tap bar 0 0 41 5 100+13c 100+12c 1.2; pole bar 0 0 20 20 0 100-14c 2
bathtub 10 140-180 68-85 42-60 ceramic
- #long body tub -50 50 -50 50 0 100 16; tap bar 50-3c 50-18c 0 0 100+10c 100+8c 2;
  tap bar 50-3c 50-3c 0 0 100-1c 100+11c 2
- #long body tub -50 50 -50 50 0 100 16; tap bar 50-3c 50-18c 0 0 100+10c 100+8c 2;
  tap bar 50-3c 50-3c 0 0 100-1c 100+11c 2
- #long body bowl -50 50 -50 50 0 100 80 2.6 10
bathtub:tray 0 90 85 10 ceramic
- #low body tub -50 50 -50 50 0 100 20
shower_curtain 10 90-160 8-16 165-195 white+white+blue+green+beige+grey+pink:fabric/metal
- fabric cloth -50 10 -50 50 0 100; rail bar -50 50 0 0 100+2c 100+2c 1.3
- fabric cloth -50 50 -50 50 0 100; rail bar -50 50 0 0 100+2c 100+2c 1.3
- fabric cloth 10 50 -50 50 0 100; rail bar -50 50 0 0 100+2c 100+2c 1.3
towel 10 28-60 6-9 35-75 paint:fabric/metal
- fabric cloth -44 44 -44 -30 0 100; fabric cloth -44 44 20 40 25 100; rail bar -50 50 0 0 100 100 1
washing_machine 10 58-68 56-66 83-95 white+white+grey:metal
- body soft -50 50 -48 50 2c 100 1.5; panel box -48 48 -50 -48 100-13c 100-2c; glass ball -30 30 -52 -40 28 72
- body soft -50 50 -48 50 2c 100 1.5; panel box -50 50 35 50 100 100+12c
radiator 10 50-160 7-14 40-70 white+white+beige+grey:metal
- body box*8-20x:3.5 -50 50 -50 50 15 100; body box -50 50 -25 25 18 24; body box -50 50 -25 25 88 94;
  leg bar/x 42 42 0 0 0 20 1.2
- body box -50 50 -50 -30 15 100; body box -50 50 20 40 15 100; body box -48 48 -30 20 90 94;
  leg bar/x 40 40 0 0 0 20 1.2
"""

DEVICES = """
refrigerator 82 55-80 58-76 150-195 white+white+grey+grey+black:metal
- body box -50 50 -42 50 0 100; door soft -50 50 -50 -42 4c 65 1.2; door soft -50 50 -50 -42 66 100 1.2;
  handle? bar/y -44 -44 -56 -56 25 60 1; handle? bar -44 -44 -56 -56 70 92 1
- body box -50 50 -42 50 0 100; door soft -50 50 -50 -42 4c 32 1.2; door soft -50 50 -50 -42 33 100 1.2;
  handle? bar -44 -44 -56 -56 45 80 1
- body box -50 50 -42 50 0 100; door soft/x 1 50 -50 -42 4c 100 1.2; handle? bar/x 5 5 -56 -56 40 80 1
refrigerator:small 18 48-58 48-58 82-100 white+white+grey+black:metal
- body box -50 50 -42 50 0 100; door soft -50 50 -50 -42 4c 100 1.2
oven 10 58-76 58-66 86-92 white+black+grey:metal
- body box -50 50 -46 50 0 100; door box -48 48 -50 -46 20c 100-13c; screen box -32 32 -51 -50 32c 100-27c;
  handle bar -40 40 -55 -55 100-18c 100-18c 1.2; handle box*5x:4 -40 40 -50 -46 100-8c 100-4c;
  screen tube/xy 12 38 10 38 100 100+1c; panel? box -50 50 42 50 100 100+15c
microwave 10 44-56 32-42 25-32 white+black+grey:metal
- body box -50 50 -46 50 1c 100; screen box -48 24 -50 -46 2c 95; panel box 26 48 -50 -46 2c 95;
  handle box 22 25 -56 -50 15 85
television 70 70-150 5-9 45-88 black
- screen box -50 50 -40 0 8c 100; screen box -48 48 -44 -40 10c 98; stand box -25 25 -120 120 0 1.5c;
  stand box -4 4 -10 40 1c 40
television:wall 30 70-150 4-8 40-86 black
- screen box -50 50 -30 20 0 100; screen box -48 48 -34 -30 3 97; frame box -20 20 20 50 25 75
monitor 88 42-72 18-24 40-60 black+black+grey
- body box -50 50 -10 8 25 100; screen box -48 48 -14 -10 28 97; stand box -5 5 8 22 1c 60;
  stand box -25 25 -50 50 0 1.5c
monitor 12 36-42 38-44 36-42 beige
- body soft -50 50 -50 -20 5c 100 2; screen box -42 42 -52 -50 15 90; body soft -40 40 -20 50 8c 85 3;
  stand tube -30 30 -20 30 0 6c 60
laptop 10 30-40 24-30 20-26 grey+black+white
- keys box -50 50 -50 40 0 2c; screen box~ -50 50 36 41 2c 100
keyboard 10 34-47 12-18 2-3 black+grey+white
- #long body box -50 50 -50 50 0 70; keys box*4y:2.4 -48 48 -44 44 70 100
printer 7 38-50 32-45 16-34 white+grey+black+beige
- body soft -50 50 -50 50 0 100 2; panel box -40 40 -75 -46 4c 6c; panel box~ -35 35 36 40 100 100+15c
printer 3 55-70 55-70 90-115 white+grey+beige
- body box -50 50 -50 50 5c 100-22c; body box -50 50 0 50 100-22c 100-10c; lid box -50 50 -50 50 100-10c 100;
  panel box -95 -50 -30 30 100-35c 100-31c
fan 10 36-46 = 80-125 white+black+grey
- base tube -50 50 -50 50 0 4c 50; pole tube -4 4 -4 4 4c 100-20c; blade bar 0 0 -6 10 100-20c 100-20c 20 19;
  body bar 0 0 10 34 100-20c 100-20c 5
fan:ceiling 0 110-130 = 30-36 white+black+grey/wood
- body tube -9 9 -9 9 0 14c; pole tube -3 3 -3 3 12c 100; base box/x 9 50 -5 5 6c 7c; base box/y -5 5 9 50 6c 7c
piano 10 135-155 54-65 100-130 black+black+brown+white:wooden
- body box -50 50 0 50 0 100; body box -50 50 -50 0 64c 70c; keys box -46 46 -46 -20 70c 72c;
  side box/x 46 50 -50 0 70c 80c; leg box/x 46 50 -46 -36 0 64c; panel box~ -33 33 -3 0 84c 100-5c;
  pedal box*3x:3 -7 7 -16 0 4c 6c
"""

SLEEP = """
bed 66 92-195 190-206 70-125 s40-62 fabric/wood|wood|wood|metal
- leg box/xy 44 48 44 48 0 s-22c; frame box -50 50 -50 50 s-30c s-20c; mattress soft -49 49 -49 49 s-22c s 6;
  headboard box -50 50 49 52 0 100; blanket?85 cover -49 49 -49 24 s-18c s; pillow?85 soft/x 6 44 28 46 s s+13c 6;
  pillow?30 soft/x 8 40 20 34 s+8c s+22c 6
- base box -48 48 -48 48 0 s-22c; mattress soft -50 50 -50 49 s-22c s 6; headboard soft~ -50 50 48 51 15c 100 3;
  blanket?85 cover -50 50 -50 10 6c s; blanket?30 heap -40 40 -40 20 s s+18c; pillow?85 soft/x 6 46 26 46 s s+14c 6;
  foot?30 box -50 50 -53 -50 0 s+10c
- leg tube/xy 45 49 46 49 0 s-18c; frame bar/x 49 49 -50 50 s-22c s-22c 2; mattress soft -48 48 -49 49 s-20c s 6;
  headboard box*5-11x:2 -48 48 49 51 s-20c 100; headboard box -50 50 48 52 100-4c 100;
  blanket?60 cover -48 48 -49 30 s-12c s; pillow?85 soft -36 36 30 46 s s+12c 6
bed 12 95-108 198-212 160-185 fabric/wood|metal
- #bunk frame box/xy 47 50 48 50 0 100; frame box -50 50 -50 50 25c 32c; mattress soft -47 47 -48 48 32c 48c 5;
  frame box -50 50 -50 50 100-50c 100-44c; mattress soft -47 47 -48 48 100-44c 100-28c 5;
  rail box/x 48 50 -30 50 100-14c 100-4c; rail box/y -48 48 48 50 100-16c 100-4c;
  ladder bar*2y:35 58 52 -46 -46 0 100-20c 1.8; ladder box*5z:3 52 56 -46 -30 25c 100-30c;
  blanket?60 cover -47 47 -48 10 38c 48c; pillow soft -34 34 30 44 100-28c 100-16c 5
pillow 10 34-68 32-46 9-17 fabric
- body soft -50 50 -50 50 0 100 6
"""

HUNG = """
door 10 70-100 6-10 196-212 wood|wood|white+white+grey+blue/white+white+grey+brown|wood
- #tall frame box/x 46 52 -50 50 0 100; frame box -52 52 -50 50 98 102; door box -46 46 -30 20 1c 98;
  door?40 box -32 32 -38 -30 10 45; door?40 box -32 32 -38 -30 52 92; handle bar 38 38 -30 -80 102c 102c 1;
  handle bar 38 26 -80 -80 102c 102c 1
- #tall frame box/x 46 52 -50 50 0 100; frame box -52 52 -50 50 98 102; door box -46 46 -30 20 1c 98;
  handle bar 38 38 -30 -80 102c 102c 1; handle bar 38 26 -80 -80 102c 102c 1
- #tall frame box/x 46 52 -50 50 0 100; frame box -52 52 -50 50 98 102; door box/x 30 46 -30 20 1c 98;
  door box -30 30 -30 20 1c 50; door box -30 30 -30 20 92 98; glass box -30 30 -10 0 50 92;
  handle bar 38 38 -30 -80 102c 102c 1; handle bar 38 26 -80 -80 102c 102c 1
door:closet 0 160 5 210 wood|white+grey+beige
- #large door box*2-4x:0 -49 49 -30 20 1c 99; frame box/x 49 52 -20 50 0 102; frame box -52 52 -20 50 99 102;
  handle box*2x:3 -20 20 -60 -30 95c 108c
- #large door box -49 1 -20 20 1c 99; door box -1 49 -60 -20 1c 99; frame box/x 49 52 -20 50 0 102;
  frame box -52 52 -20 50 99 102; handle box/x 40 43 -80 -60 95c 108c
window 10 60-240 8-25 70-170 white+white+brown+grey:wooden/white+white+brown+grey+black:wooden
- frame box/x 50-6c 50 10 40 0 100; frame box -50 50 10 40 0 6c; frame box -50 50 10 40 100-6c 100;
  frame box*1-3x:5 -30 30 10 40 0 100; frame?40 box*1z:4 -50 50 10 40 40 60; glass?70 box -48 48 24 26 4 96;
  sill box -52 52 -75 10 -3c 0
- frame box/x 50-6c 50 10 40 0 100; frame box -50 50 10 40 0 6c; frame box -50 50 10 40 100-6c 100;
  frame box*1x:5 -50 50 10 40 0 100; glass box -48 48 24 26 4 96; frame box/x 50 50+7c -58 -50 -5c 100+7c;
  frame box -50 50 -58 -50 100 100+7c; sill box -52 52 -60 10 -3c 0
curtain 10 25-160 6-12 120-250 white+beige+grey+blue+red+green+brown:fabric
- fabric cloth -50 50 -50 50 0 100
- fabric cloth -50 50 -50 50 0 100 40; rail bar -52 52 0 0 100+1c 100+1c 1.3
blinds 10 60-180 4-5 30-160 white+white+beige+grey+brown
- panel box*8-25z:.4 -50 50 -50 50 0 100; rail box -50 50 -60 60 100 100+5c
- panel box*6-16x:6 -50 50 -10 10 0 100; rail box -50 50 -60 60 100 100+5c
- panel box -50 50 -5 5 0 100; rail box -50 50 -60 60 100 100+6c
picture 10 20-110 1-4 20-90 wood|black+white+grey+yellow/white+beige
- content box -46 46 -30 10 5 95; back box/x 46 50 -50 50 0 100; back box/y -46 46 -50 50 0 5;
  back box -46 46 -50 50 95 100
- content box -50 50 -50 50 0 100; content box -40 10 -52 -50 20 70; content box -5 45 -54 -50 40 90
whiteboard 10 80-260 3-4 70-130 white+white+white+white+black+green/grey
- panel box -50 50 -20 50 0 100; frame box/x 50-2c 50 -50 50 0 100; frame box -50 50 -50 50 0 2c;
  frame box -50 50 -50 50 100-2c 100; frame box -25 25 -250 50 -2c 0
mirror 10 35-120 2-4 50-150 wood|metal
- glass box -48 48 -10 50 2 98; body box/x 50-4c 50 -50 50 0 100; body box -50 50 -50 50 0 4c;
  body box -50 50 -50 50 100-4c 100
- #round glass plate -50 50 0 0 0 100 20; body plate -50 50 10 10 0 100 20
- glass box -50 50 -10 50 0 100
"""

OBJECTS = """
lamp:table 40 20-40 = 35-70 paint/metal
- base tube -35 35 -35 35 0 3c 40; pole tube -5 5 -5 5 2c 60; shade shade -50 50 -50 50 60 100 60
- base ball -32 32 -32 32 0 55; shade shade -50 50 -50 50 55 100 70
lamp:floor 30 28-52 = 135-180 white+beige+yellow+red/metal
- #tall base tube -36 36 -36 36 0 3c 40; pole tube -3 3 -3 3 2c 85; shade shade -50 50 -50 50 80 100 60
- #tall base tube -36 36 -36 36 0 3c 40; pole tube -3 3 -3 3 2c 92; shade shade -40 40 -40 40 88 100 180
lamp:desk 15 16-20 30-36 35-56 metal
- base tube -50 50 0 50 0 3c 40; pole bar 0 0 25 45 2c 70 1; pole bar 0 0 45 -25 70 100-5c 1;
  shade shade -42 42 -50 -14 100-14c 100-4c 40
lamp:ceiling 15 24-60 = 30-90 white+beige+yellow+red+black/metal
- #round shade shade -50 50 -50 50 0 14c 45; base tube -12 12 -12 12 9c 12c; pole bar 0 0 0 0 10c 100 0.6
- #round shade ball -40 40 -40 40 0 30c; pole bar 0 0 0 0 29c 100 0.6
box 10 16-60 13-48 12-45 brown+brown+beige+beige+white+blue+grey+black:cardboard
- body box -50 50 -50 50 0 100; side box -50 50 -4 4 100 100+.3c
- body box -50 50 -50 50 0 1c; side box/x 50-1c 50 -50 50 0 100; side box/y -50 50 50-1c 50 0 100;
  content? heap -45 45 -45 45 1c 80; lid? box/x 50 50+18c -50 50 96 98; lid? bar/y -50 50 50 50 100 100+8c .5
- body soft -50 50 -50 50 0 100 1
plant 10 20-50 = 22-55 green/brown+white+black+grey+red
plant 10 45-100 = 70-180 green/brown+white+black+grey+red
- pot bowl -22 22 -22 22 0 28 75 2 12; stem tube -1 1 -1 1 24 45; leaf leaves -50 50 -50 50 28 100
- pot bowl -25 25 -25 25 0 25 75 2 12; stem tube -2 2 -2 2 20 60; leaf leaves -50 50 -50 50 55 100;
  leaf leaves -40 40 -40 40 40 80
trash_can 10 24-42 = 26-70 black+black+grey+white+blue+green:metal|black+grey+white:plastic
- #round body bowl -50 50 -50 50 0 100 82 2 7
- #square body bowl -50 50 -40 40 0 100 82 8 7
- #round body tube -48 48 -48 48 0 86 102; lid tube -50 50 -50 50 86 100 55
person 10 48-60 32-42 155-190 paint/blue+black+grey+brown+beige
- leg bar 18 16 -8 0 4c 50 7 9; leg bar -18 -16 14 0 4c 50 7 9; foot box 8 28 -50 15 0 8c;
  foot box -28 -8 -30 35 0 8c; body tube -32 32 -26 26 48 72 112; body tube -36 36 -26 26 70 84 70;
  arm bar 36 46 0 -10 82 64 5; arm bar 46 42 -10 -40 64 50 4; arm bar -36 -46 0 10 82 64 5;
  arm bar -46 -44 10 0 64 48 4; head tube -9 9 -14 14 82 90; head ball -15 15 -28 28 87 100
- leg bar/x 15 14 0 0 4c 50 7 9; foot box/x 5 25 -45 15 0 8c; body tube -32 32 -26 26 48 72 112;
  body tube -36 36 -26 26 70 84 70; arm bar/x 36 44 0 8 82 64 5; arm bar/x 44 30 8 -42 64 60 4;
  head tube -9 9 -14 14 82 90; head ball -15 15 -28 28 87 100; head? ball -17 17 -30 30 94 101
bottle 10 5-10 = 15-34 green+white+blue+brown+red+black
- body tube -50 50 -50 50 0 60; body tube -50 50 -50 50 60 78 36; body tube -18 18 -18 18 78 95;
  cap tube -21 21 -21 21 92 100
cup 10 6-14 = 7-13 paint
- body bowl -50 50 -50 50 0 100 75 2 8; handle? bar 45 75 0 0 80 70 .6; handle? bar 75 75 0 0 70 35 .6;
  handle? bar 75 42 0 0 35 25 .6
rug 10 60-260 45-190 1-2 fabric
rug:bath 0 45-90 35-60 1-2 fabric
- fabric mat -50 50 -50 50 0 100
- fabric mat -50 50 -50 50 0 100
- #round fabric tube -38 38 -50 50 0 1.2c
column 10 24-60 = 230-300 white+grey+beige
- #round body tube -50 50 -50 50 0 100
- #square body box -50 50 -50 50 0 100
stairs 10 75-120 90-220 60-150 wood|grey+white+beige
- step box -50 50 -50 -30 0 20; step box -50 50 -30 -10 0 40; step box -50 50 -10 10 0 60;
  step box -50 50 10 30 0 80; step box -50 50 30 50 0 100; rail? bar 47 47 -48 48 92c 100+90c 2.5;
  rail? bar*4y:2 47 47 -40 40 20 100+40c 1
backpack 10 26-36 20-30 38-52 black+black+blue+grey+red+green+brown+pink:fabric
- body soft -50 50 -30 50 0 100 9; body soft -35 35 -50 -20 3c 52 5; strap bar/x 22 25 50 70 88 55 1.4;
  strap bar/x 25 25 70 48 55 10 1.4
bag 10 20-45 10-25 20-45 white+brown+black+red+blue+beige+grey
- body bowl -50 50 -50 50 0 100 95 5 5; handle bar/x 15 8 0 0 100 100+11c .8; handle bar -8 8 0 0 100+11c 100+11c .8
- body ball -50 50 -60 60 0 95 15; handle tube -14 14 -14 14 90 110 150
- body soft -50 50 -50 50 0 80 6; handle bar/x 35 20 0 0 80 120 .9; handle bar -20 20 0 0 120 120 .9
suitcase 10 36-50 20-30 50-75 black+black+grey+blue+red+green
- body soft -50 50 -50 50 4c 100 5; handle? bar/x 22 22 40 40 100 100+35c 1;
  handle? bar -22 22 40 40 100+35c 100+35c 1; wheel tube/xy 36 44 34 46 0 4c
clothes 10 30-90 30-80 5-22 fabric
- fabric heap -50 50 -50 50 0 100
shoes 10 22-30 23-30 7-20 black+brown+white+grey+blue+red
- body ball/x 6 44 -50 50 -4c 6c 2; body tube/x 10 40 10 48 0 100 70
books 10 14-30 12-22 4-25 paint
- body stack -50 50 -50 50 0 100
books 6 15-60 15-22 20-32 paint
- body books -50 50 -50 50 0 100
"""

TABLES_OF_ROOMS = (SEATS, TABLES, STORAGE, WET, DEVICES, SLEEP, HUNG, OBJECTS)
