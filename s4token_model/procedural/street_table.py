"""What stands and drives on streets, as text: sizes, materials and pieces, in the language of pieces.py.

Cyclists are drawn to the size of their cycle, fences to a length; poles of signs and lights become things of their own.
"""

VEHICLES = """
car:hatchback 30 162-182 350-435 142-156 s88-98 black+black+grey+grey+grey+white+white+blue+red+green+beige+brown
- body hull -50 50 -50 50 19c s 25; body cabin -47 47 -25 47 s-3c 100 26 15 20 2;
  wheel wheel/xy 50-21c 50+1c 31-31c 31+31c 0 62c; panel soft/x 50-3c 50+15c -20-5c -20+6c s s+14c 4
car:saloon 20 172-190 430-505 138-150 s88-98 black+black+grey+grey+grey+white+white+blue+red+green+beige+brown
- body hull -50 50 -50 50 18c s 29; body cabin -47 47 -20 34 s-3c 100 28 26 22 2;
  wheel wheel/xy 50-21c 50+1c 31-32c 31+32c 0 64c; panel soft/x 50-3c 50+15c -14-5c -14+6c s s+14c 4
car:estate 17 172-188 430-495 142-153 s88-98 black+black+grey+grey+grey+white+white+blue+red+green+beige+brown
- body hull -50 50 -50 50 18c s 28; body cabin -47 47 -22 48 s-3c 100 21 10 20 3;
  wheel wheel/xy 50-21c 50+1c 31-32c 31+32c 0 64c; panel soft/x 50-3c 50+15c -16-5c -16+6c s s+14c 4
car:suv 15 178-198 410-490 160-185 s102-115 black+black+grey+grey+grey+white+white+blue+red+green+beige+brown
- body hull -50 50 -50 50 24c s 27; body cabin -47 47 -23 47 s-3c 100 19 13 18 3;
  wheel wheel/xy 50-22c 50+1c 31-36c 31+36c 0 72c; panel soft/x 50-3c 50+16c -18-5c -18+6c s s+16c 4
car:van 10 180-205 440-590 180-260 s110-125 white+white+white+grey+blue+red+yellow+black
- body hull -50 50 -50 50 22c s 13; body cabin -48 48 -37 49 s-3c 100 13 2 10 3;
  wheel wheel/xy 50-22c 50+1c 31-33c 31+33c 0 66c; panel soft/x 50-3c 50+18c -32-5c -32+6c s s+22c 4
- body hull -50 50 -50 50 22c s 13; body cabin -48 48 -37 -5 s-3c 100 34 0 10 1; body box -48 48 -6 49 s-4c 100;
  wheel wheel/xy 50-22c 50+1c 31-33c 31+33c 0 66c; panel soft/x 50-3c 50+18c -32-5c -32+6c s s+22c 4
car:small 8 155-170 340-390 140-150 s85-95 black+grey+white+blue+red+green+beige
- body hull -50 50 -50 50 18c s 21; body cabin -47 47 -29 46 s-3c 100 23 16 20 2;
  wheel wheel/xy 50-20c 50+1c 31-29c 31+29c 0 58c; panel soft/x 50-3c 50+15c -24-5c -24+6c s s+14c 4
truck:small 4 205-235 560-750 225-275 white+white+blue+red+yellow+grey+green/black
truck 6 235-252 750-1150 295-365 white+white+blue+red+yellow+grey+green/black
- body box -50 50 -50 -50+180c 42c 46; body cabin -50 50 -50 -50+180c 46 92 8 0 3 1;
  frame box -20 20 -50+180c 49 75c 105c; content box -50 50 -50+205c 50 105c 100;
  wheel wheel/x 50-30c 50-3c -50+72c -50+168c 0 96c; wheel wheel/x 50-30c 50-3c 50-190c 50-94c 0 96c
- body box -50 50 -50 -50+180c 42c 46; body cabin -50 50 -50 -50+180c 46 95 8 0 3 1;
  frame box -20 20 -50+180c 49 75c 100c; content box -50 50 -50+205c 50 100c 110c;
  side box/x 48 50 -50+205c 50 100c 60; side box -50 50 49 50 100c 60; side box -50 50 -50+205c -50+210c 100c 66;
  content?30 heap -45 45 -10 45 110c 75; wheel wheel/x 50-30c 50-3c -50+72c -50+168c 0 96c;
  wheel wheel/x 50-30c 50-3c 50-190c 50-94c 0 96c; wheel wheel/x 50-30c 50-3c 50-310c 50-214c 0 96c
- body box -50 50 -50 -50+190c 42c 46; body cabin -50 50 -50 -50+190c 46 100 8 0 3 1;
  frame box -20 20 -50+190c 49 70c 100c; content bar 0 0 -50+215c 50 200c 200c 100;
  wheel wheel/x 50-30c 50-3c -50+72c -50+168c 0 96c; wheel wheel/x 50-30c 50-3c 50-190c 50-94c 0 96c
bus 10 240-255 900-1400 290-340 red+yellow+white+blue+green+white
- #long body box -50 50 -50 50 33c 115c; body cabin -50 50 -50 50 115c 100 1 0 2 6;
  wheel wheel/x 50-30c 50+1c -50+212c -50+308c 0 96c; wheel wheel/x 50-30c 50+1c 50-348c 50-252c 0 96c
- #long body box -50 50 -50 50 33c 115c; body cabin -50 50 -50 50 115c 93 1 0 2 8; top box -32 32 -15 15 93 100;
  wheel wheel/x 50-30c 50+1c -50+212c -50+308c 0 96c; wheel wheel/x 50-30c 50+1c 50-348c 50-252c 0 96c
trailer 6 200-240 480-720 240-270 white+white+grey+beige+blue/black
- body soft -50 50 -50+120c 50 45c 100 25; glass box/x 50 50+1c -20 15 125c 190c;
  glass box -35 35 50-2c 50+1c 125c 190c; frame bar 0 0 -50 -50+120c 50c 50c 5;
  frame bar 0 0 -50+60c -50+60c 0 52c 4; wheel wheel/x 50-25c 50-4c 15-32c 15+32c 0 64c
trailer:small 5 130-200 290-520 95-210 white+white+grey+beige+blue/black
- body box -50 50 -50+110c 50 45c 100; frame bar 0 0 -50 -50+110c 50c 50c 5;
  wheel wheel/x 50 50+18c 10-32c 10+32c 0 64c
"""

CYCLES = """
bicycle 10 50-62 165-182 99-112 paint/paint
- wheel wheel/y -2c 2c 30-34c 30+34c 0 68c 2; frame bar 0 0 3 -19 29c 80 1.8; frame bar 0 0 3 13 29c 86 1.8;
  frame bar 0 0 12 -19 78 82 1.8; frame bar 0 0 12 30 78 34c 1.8; frame bar 0 0 3 30 29c 34c 1.8;
  frame bar 0 0 -30 -17 34c 97 1.8; handle bar -50 50 -15 -15 99 99 1.5; seat soft -8c 8c 7 22 91 97 3;
  pedal bar -16c 16c 3 3 29c 29c 2.5; content?25 box -17c 17c -45 -32 78 97; frame?40 box -7c 7c 22 42 70c 72c
motorcycle 6 64-82 195-225 98-112 black+red+blue+green+white+yellow+grey/black
- wheel wheel/y -6c 6c 34-31c 34+31c 0 62c; frame bar 0 0 -34 -22 31c 85 5; frame bar 0 0 -22 -18 85 98 4;
  handle bar -50 50 -18 -18 99 99 2; body soft -20c 20c -17 14 25c 65c 6; tank soft -16c 16c -18 6 65c 92 8;
  body soft -12c 12c 20 48 60c 80c 5; seat soft -15c 15c 4 40 70c 83c 5; body bar 20c 21c 5 45 30c 42c 6;
  body soft -12c 12c -30 -20 78c 98c 5
motorcycle 4 62-74 165-190 100-115 black+red+blue+green+white+yellow+grey/black
- #small wheel wheel/y -6c 6c 35-23c 35+23c 0 46c; frame bar 0 0 -35 -20 23c 92 4; handle bar -50 50 -19 -19 99 99 2;
  body soft -20c 20c -32 -20 28c 92 5; body box -18c 18c -26 12 22c 33c; body soft -19c 19c 2 47 25c 70c 9;
  seat soft -14c 14c 4 38 68c 78c 4
bicyclist 10 60 175 105 paint/black+blue+grey+brown
- body bar 0 0 13 13-18c 96 96+50c 15 17; head ball -10c 10c 13-34c 13-12c 96+57c 96+83c;
  head?40 ball -12c 12c 13-35c 13-8c 96+69c 96+88c; leg bar 9c 15c 13 13-40c 96 96-18c 8;
  leg bar 15c 14c 13-40c 2 96-18c 18c 6; leg bar -9c -15c 13 13-40c 96 96-8c 8;
  leg bar -15c -14c 13-40c 6 96-8c 45c 6; foot box/x 9c 19c 2-18c 2+8c 14c 23c;
  arm bar/x 19c 30c 13-16c 0-6c 96+44c 96+22c 5; arm bar/x 30c 26c 0-6c -15 96+22c 99 4
- body bar 0 0 13 13-7c 96 96+55c 15 17; head ball -10c 10c 13-20c 13+2c 96+62c 96+88c;
  leg bar 9c 15c 13 13-42c 96 96-14c 8; leg bar 15c 14c 13-42c 4 96-14c 30c 6;
  leg bar -9c -15c 13 13-40c 96 96-14c 8; leg bar -15c -14c 13-40c 4 96-14c 30c 6;
  foot box/x 9c 19c 4-18c 4+8c 25c 33c; arm bar/x 19c 30c 13-5c 0-4c 96+48c 96+24c 5;
  arm bar/x 30c 26c 0-4c -15 96+24c 99 4
motorcyclist 10 75 210 105 paint/black+blue+grey+brown
- body bar 0 0 12 12-14c 82c 134c 17 20; head ball -13c 13c 12-32c 12-4c 138c 168c;
  leg bar/x 10c 24c 12 12-42c 84c 72c 9; leg bar/x 24c 20c 12-42c 2 72c 34c 7; foot box/x 15c 26c 2-18c 2+8c 28c 37c;
  arm bar/x 20c 34c 12-12c -4 126c 108c 6; arm bar/x 34c 30c -4 -18 108c 99 5
"""

FURNITURE = """
pole:lamp 10 15-50 15-50 350-550 grey+grey+black+green:metal
- #tall pole tube -6c 6c -6c 6c -20c 90c; pole bar 0 0 0 0 90c 100 4.5 3;
  shade shade -50 50 -50 50 100-5c 100+30c 60; shade tube -50 50 -50 50 100+30c 100+34c 20
pole:lamp 14 28-30 160-480 560-950 grey+grey+black+green:metal
- #tall pole tube -8c 8c -8c 8c -20c 90c; pole bar 0 0 0 0 90c 100 6 4; pole bar 0 0 0 -25 100 100+28c 3;
  pole bar 0 0 -25 -50 100+28c 100+34c 3; shade soft -14c 14c -50-30c -50+30c 100+28c 100+42c 5
pole:utility 8 170-190 20-32 650-1000 wood|grey:concrete
- #tall pole bar 0 0 0 0 -30c 100 14 10; pole box*1-2z:12 -50 50 -6c 6c 100-110c 100-30c
pole:bollard 0 8-16 = 60-120 grey+black+red+white+brown
- #short pole tube -50 50 -50 50 -10c 100 80
traffic_sign 12 56-90 4-6 230-330 red+red+white+blue+yellow/grey:metal
- #round pole bar 0 0 0 0 -20c 100+5c 3; panel plate -50 50 -6c -6c 100-70c 100 16
- #triangular pole bar 0 0 0 0 -20c 100+5c 3; panel plate -50 50 -6c -6c 100-75c 100 3;
  panel?40 plate -45 45 -6c -6c 100-145c 100-80c 16
- #square pole bar 0 0 0 0 -20c 100+5c 3; panel plate -50 50 -6c -6c 100-70c 100 4
- #wide pole bar 0 0 0 0 -20c 100+5c 3; panel box -60 60 -7c -5c 100-35c 100;
  panel?50 box -60 60 -7c -5c 100-75c 100-42c
traffic_sign 2 120-320 6-9 180-400 blue+yellow+white+green/grey:metal
- #large pole bar/x 35 35 0 0 -20c 100 5; panel box -50 50 -9c -6c 100-140c 100
traffic_light 10 28-32 25-40 280-350 black/grey:metal
- pole bar 0 0 0 0 -20c 100 7; body box -15c 15c -35c -10c 100-90c 100;
  screen box*3z:18 -9c 9c -37c -35c 100-86c 100-4c
- pole bar 0 0 0 0 -20c 100 7; body box -15c 15c -35c -10c 100-90c 100; pole bar 0 0 0 0 100 540c 7;
  pole bar 0 -350c 0 0 540c 560c 6; body box -365c -335c -35c -10c 490c 580c
trash_can:wheelie 0 48-62 58-62 98-112 black+grey+green+blue+brown+yellow:plastic
trash_can:container 0 110-150 95-105 120-130 black+grey+green+blue+brown+yellow:plastic
- body soft -50 50 -50 50 4c 100-6c 5; lid box -53 53 -54 52 100-6c 100; wheel wheel/x 36 46 50-18c 50+2c 0 20c
fence:wire 30 600 8 80-170 grey+black+green+white:metal
- pole box*@240x:8 -50 50 -4c 4c -40c 100+3c; panel box*@16z:2.2 -50 50 -.6c .6c 10c 100;
  panel box*@24x:2.2 -50 50 -.6c .6c 5c 100
fence:picket 18 600 8 80-150 wood
- pole box*@240x:8 -50 50 -4c 4c -40c 100+3c; rail box*2z:6 -50 50 0 4c 18c 100-12c;
  panel box*@17x:9 -50 50 -1.5c 1c 6c 100
fence:plank 12 600 8 120-190 wood
- pole box*@240x:8 -50 50 -4c 4c -40c 100+3c; panel box -50 50 -1.5c 1.5c 5c 100
fence:bars 18 600 8 80-170 grey+black+green+white:metal
- pole box*@240x:8 -50 50 -4c 4c -40c 100+3c; rail box*2z:6 -50 50 0 4c 18c 100-12c;
  panel box*@13x:2.8 -50 50 -1.5c 1c 6c 100
fence:wall 15 600 24 50-170 grey+beige+white+brown:stone
- body box -50 50 -12c 12c -50c 100-6c; top box -50 50 -16c 16c 100-6c 100
fence:rail 7 600 12 72-78 grey:metal
- pole box*@200x:8 -50 50 -4c 4c -40c 100; rail box -50 50 -10c -4c 100-32c 100
"""

TABLES_OF_STREETS = (VEHICLES, CYCLES, FURNITURE)
